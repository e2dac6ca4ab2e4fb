// The integer sums of panels of weights with int8 activations, P panels of 16 rows times T tokens:
// of a sub-block, and of 32 columns with the integers that their sub-blocks are scaled with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/token_sums.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format, int P, int T>
struct PanelDots {
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

  template <class Function>
  LLMRUN_INLINE static void ForResults(Function function) {
    LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) function(p, t);
    }
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

 private:
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
