// Products of panels of weights with int8 activations: P panels of 16 rows times T tokens.
//
// What the result of a row and a token is, whatever the shape of the tile: the products of 32 (or
// 16) columns are added exactly, as integers. Types of blocks: class = fma(sum, weight scale x
// activation scale, class) for one block of the class after the other, after fma(minimum,
// activation scale x sum of the activations, class) where there are minimums. Types of superblocks:
// the integer sums of 32 columns, times their integer scales, become floats exactly (below 2^24),
// and part = fma(sum, activation scale, part); after eight of them class = fma(part, scale, class),
// and so for the minimums. The result is the sum of all classes (generic/panel.h), in ascending
// order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/token_sums.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format, int P, int T>
struct PanelTile {
  using F = typename Isa::F;
  using I = typename Isa::I;
  using B = typename Isa::B;
  using Block = BlockOf<Format>;
  using Weights = Strip<Format, P>;
  using Sums = TokenSums<Format, T>;
  static constexpr bool kHasStart = Isa::template HasStart<Format::kOffset>();
  static constexpr int kWidth = kWeightBytes<Format>;

  const Weights& strip;
  const TokenSource& x;  // its q as WideTokens has them, where weights are wide
  const Sums& tokens;
  int blocks;  // of memory, in the section
  alignas(64) float total[P][T][kPanelRows];

  // The results so far, 0 for the first section, go on in out.
  void Run(bool first, float* out, int64_t out_stride) {
    ForResults([&](int p, int t) {
      const float* from = out + t * out_stride + p * kPanelRows;
      Isa::Store(total[p][t], first ? Isa::Zero() : Isa::Load(from));
    });
    int place = 0;
    for (int c = 0; c < Block::kClasses && c < blocks; ++c) {
      F acc[P][T];
      ForResults([&](int p, int t) { acc[p][t] = Isa::Zero(); });
      for (int i = c; i < blocks; i += Block::kClasses, ++place) AddBlock(place, i, acc);
      ForResults([&](int p, int t) {
        Isa::Store(total[p][t], Isa::Add(Isa::Load(total[p][t]), acc[p][t]));
      });
    }
    ForResults([&](int p, int t) {
      Isa::Store(out + t * out_stride + p * kPanelRows, Isa::Load(total[p][t]));
    });
  }

 private:
  template <class Function>
  LLMRUN_INLINE static void ForResults(Function function) {
    LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) function(p, t);
    }
  }

  LLMRUN_INLINE void AddBlock(int place, int i, F (&acc)[P][T]) const {
    if constexpr (Format::kSuper) {
      AddSuperblock(place, i, acc);
    } else {
      I dot[P][T];
      Dot(place, i, dot);
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        const F x_scale = Isa::Set(x.scale[t * x.scale_stride + i]);
        LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
          if constexpr (Format::kHasMin) {
            acc[p][t] =
                Isa::Fma(Isa::Load(strip.min[place][p]), Isa::Set(tokens.sum[t][i]), acc[p][t]);
          }
          const F scale = Isa::Mul(Isa::Load(strip.scale[place][p]), x_scale);
          acc[p][t] = Isa::Fma(Isa::ToFloat(dot[p][t]), scale, acc[p][t]);
        }
      }
    }
  }

  LLMRUN_INLINE void AddSuperblock(int place, int i, F (&acc)[P][T]) const {
    if constexpr (Format::kHasMin) AddMins(place, i, acc);
    F part[P][T];
    ForResults([&](int p, int t) { part[p][t] = Isa::Zero(); });
    for (int b = 0; b < kSuperBlocks; ++b) {
      I sum[P][T];
      ScaledSum(place * kSuperBlocks + b, i * kSuperBlocks + b, sum);
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        const F x_scale = Isa::Set(x.scale[t * x.scale_stride + i * kSuperBlocks + b]);
        LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
          part[p][t] = Isa::Fma(Isa::ToFloat(sum[p][t]), x_scale, part[p][t]);
        }
      }
    }
    ForResults([&](int p, int t) {
      acc[p][t] = Isa::Fma(part[p][t], Isa::Load(strip.scale[place][p]), acc[p][t]);
    });
  }
  LLMRUN_INLINE void AddMins(int place, int i, F (&acc)[P][T]) const {
    F part[P][T];
    ForResults([&](int p, int t) { part[p][t] = Isa::Zero(); });
    LLMRUN_UNROLL for (int s = 0; s < Block::kSubs; ++s) {
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
        const F min = Isa::Load(strip.sub_min[place * Block::kSubs + s][p]);
        LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
          part[p][t] = Isa::Fma(min, Isa::Set(tokens.sum[t][i * Block::kSubs + s]), part[p][t]);
        }
      }
    }
    ForResults([&](int p, int t) {
      acc[p][t] = Isa::Fma(part[p][t], Isa::Load(strip.min[place][p]), acc[p][t]);
    });
  }
  // The integers of 32 columns, times their integer scales.
  LLMRUN_INLINE void ScaledSum(int place, int i, I (&sum)[P][T]) const {
    if constexpr (!Format::kHasSubs) return Dot(place, i, sum);
    if constexpr (kScalesWords<Format>) return SumOfWords(place, i, sum);
    constexpr int kParts = kQuantBlock / Format::kSubCols;
    LLMRUN_UNROLL for (int part = 0; part < kParts; ++part) {
      I dot[P][T];
      Dot(place * kParts + part, i * kParts + part, dot);
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
        const I scale = Isa::LoadInts(strip.sub[place * kParts + part][p]);
        LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
          const I product = Isa::MulInts(dot[p][t], scale);
          sum[p][t] = part == 0 ? product : Isa::AddInts(sum[p][t], product);
        }
      }
    }
  }
  LLMRUN_INLINE void SumOfWords(int place, int i, I (&sum)[P][T]) const {
    constexpr int kParts = kQuantBlock / Format::kSubCols;
    constexpr int kGroups = Format::kSubCols / kGroupCols;
    constexpr int kChain = Isa::template Chain<Format::kMost>(kGroups);
    ForResults([&](int p, int t) {
      sum[p][t] = Isa::ZeroInts();
      if constexpr (Weights::kHasStart) {
        const int16_t* sums = x.sums + t * (x.q_stride / kSumBlock) + i * kParts;
        sum[p][t] = Isa::AddWords(sum[p][t], Isa::LoadWords(strip.start[place][p]),
                                  Isa::SpreadFour(reinterpret_cast<const int8_t*>(sums)));
      }
    });
    LLMRUN_UNROLL for (int part = 0; part < kParts; ++part) {
      const int sub = place * kParts + part;
      const std::byte* w = strip.q[sub * kGroups][0];
      const int8_t* from = x.q + (i * kParts + part) * Format::kSubCols;
      LLMRUN_UNROLL for (int g = 0; g < kGroups; g += kChain) {
        AddChain<kChain>(
            w + g * P * kGroupBytes, from + g * kGroupCols, [&](int p, int t, auto shorts) {
              sum[p][t] = Isa::AddWords(sum[p][t], shorts, Isa::LoadWords(strip.sub[sub][p]));
            });
      }
    }
  }
  // The sums of a sub-block.
  LLMRUN_INLINE void Dot(int place, int sub, I (&dot)[P][T]) const {
    constexpr int kGroups = Format::kSubCols / kGroupCols;
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      const I start = kHasStart ? Isa::SpreadInt(&tokens.start[t][sub]) : Isa::ZeroInts();
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) dot[p][t] = start;
    }
    if constexpr (kWidth == 2) return AddWide(strip.q[place * kGroups][0], sub, dot);
    // What Isa adds of products before it makes them wider.
    constexpr int kChain = Isa::template Chain<Format::kMost>(kGroups);
    LLMRUN_UNROLL for (int g = 0; g < kGroups; g += kChain) {
      const std::byte* w = strip.q[place * kGroups + g][0];
      const int8_t* from = x.q + sub * Format::kSubCols + g * kGroupCols;
      if constexpr (kChain == 1) {
        ForProducts(w, from, [&](int p, int t, B weights, B four) {
          dot[p][t] = Isa::template AddDot<Format::kOffset>(dot[p][t], weights, four);
        });
      } else {
        AddChain<kChain>(w, from, [&](int p, int t, auto shorts) {
          dot[p][t] = Isa::AddPairsOfShorts(dot[p][t], shorts);
        });
      }
    }
  }
  LLMRUN_INLINE void AddWide(const std::byte* w, int sub, I (&dot)[P][T]) const {
    static_assert(Format::kSubCols == kQuantBlock);
    const int8_t* from = x.q + sub * kQuantBlock * kWidth;
    LLMRUN_UNROLL for (int g = 0; g < kQuantBlock / kGroupCols; ++g) {
      LLMRUN_UNROLL for (int half = 0; half < 2; ++half) {
        ForProducts(w + (g * P * kWidth + half) * kGroupBytes,
                    from + half * kQuantBlock + g * kGroupCols,
                    [&](int p, int t, B weights, B two) {
                      dot[p][t] = Isa::AddWords(dot[p][t], weights, two);
                    });
      }
    }
  }
  // Calls add(p, t, sums of words).
  template <int kChain, class Add>
  LLMRUN_INLINE void AddChain(const std::byte* w, const int8_t* from, Add add) const {
    typename Isa::Shorts sum[P][T];
    ForProducts(w, from,
                [&](int p, int t, B weights, B four) { sum[p][t] = Isa::ShortDot(weights, four); });
    LLMRUN_UNROLL for (int g = 1; g < kChain; ++g) {
      ForProducts(w + g * P * kGroupBytes, from + g * kGroupCols,
                  [&](int p, int t, B weights, B four) {
                    sum[p][t] = Isa::AddShorts(sum[p][t], Isa::ShortDot(weights, four));
                  });
    }
    ForResults([&](int p, int t) { add(p, t, sum[p][t]); });
  }
  // One group of weights and the activations that belong to it.
  template <class Function>
  LLMRUN_INLINE void ForProducts(const std::byte* group, const int8_t* from,
                                 Function function) const {
    B w[P];
    LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
      w[p] = Isa::LoadGroup(group + p * kGroupBytes * kWidth);
    }
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      const B four = Isa::SpreadFour(from + t * x.q_stride);
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) function(p, t, w[p], four);
    }
  }
};

}  // namespace llmrun::generic
