// Multiplies unpacked sections of weights with up to 16 tokens at a time on a unit for products of
// whole matrices (Isa::Tiles), with the bits of generic/panel_tile.h: the unit gives the integer
// sums of a sub-block, of 16 rows and all tokens, and what is done with them is the same.
//
// Isa::Tiles:
//   kTokens                           the most tokens of a tile
//   Configure(tokens, columns)        of a sub-block, before Dots
//   Dots<P>(x, x_stride, group, out)  out[p][t][row] = sum over the columns of x[t] x weights, for
//   P
//                                     panels side by side (StripQuants)
//   Release()                         after the last Dots
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/panel_tile.h"
#include "compute/kernels/generic/prefetch.h"
#include "compute/kernels/generic/strip_product.h"
#include "compute/kernels/generic/token_sums.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format, int P>
class TileStrip {
 public:
  using Tiles = typename Isa::Tiles;
  using Block = BlockOf<Format>;
  using Weights = Strip<Format, P>;
  using Sums = TokenSums<Format, Tiles::kTokens>;

  TileStrip(const Weights& strip, const TokenSource& x, const Sums& sums, int tokens)
      : strip_(strip), x_(x), sums_(sums), tokens_(tokens) {}

  // The results so far, 0 for the first section, go on in out.
  void Run(int blocks, bool first, StepsAhead* ahead, float* out, int64_t out_stride) {
    ForResults([&](int p, int t) {
      const float* from = out + t * out_stride + p * kPanelRows;
      Put(&total_, p, t, first ? Isa::Zero() : Isa::Load(from));
    });
    int place = 0;
    for (int c = 0; c < Block::ClassesOf(blocks); ++c) {
      ahead->Step();
      ForResults([&](int p, int t) { Put(&class_, p, t, Isa::Zero()); });
      for (int i = c; i < blocks; i += Block::kClasses, ++place) {
        if constexpr (Format::kSuper) {
          AddSuperblock(place, i);
        } else {
          AddBlock(place, i);
        }
      }
      ForResults([&](int p, int t) {
        Put(&total_, p, t, Isa::Add(Get(total_, p, t), Get(class_, p, t)));
      });
    }
    ForResults([&](int p, int t) {
      Isa::Store(out + t * out_stride + p * kPanelRows, Get(total_, p, t));
    });
  }

 private:
  using F = typename Isa::F;
  using I = typename Isa::I;
  struct Floats {
    alignas(64) float v[P][Tiles::kTokens][kPanelRows];
  };
  struct Ints {
    alignas(64) int32_t v[P][Tiles::kTokens][kPanelRows];
  };

  LLMRUN_INLINE static void Put(Floats* to, int p, int t, F x) { Isa::Store(to->v[p][t], x); }
  LLMRUN_INLINE static F Get(const Floats& from, int p, int t) { return Isa::Load(from.v[p][t]); }
  template <class Function>
  LLMRUN_INLINE void ForResults(Function function) {
    for (int t = 0; t < tokens_; ++t) {
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) function(p, t);
    }
  }

  void Dots(int place, int sub, Ints* to) {
    constexpr int kGroups = Format::kSubCols / kGroupCols;
    Tiles::template Dots<P>(x_.q + sub * Format::kSubCols, x_.q_stride,
                            strip_.q[place * kGroups][0], to->v);
  }
  LLMRUN_INLINE I Dot(const Ints& dots, int sub, int p, int t) const {
    const I dot = Isa::LoadInts(dots.v[p][t]);
    if constexpr (!Isa::template HasStart<Format::kOffset>()) return dot;
    return Isa::AddInts(dot, Isa::SpreadInt(&sums_.start[t][sub]));
  }

  void AddBlock(int place, int i) {
    Dots(place, i, &dots_[0]);
    ForResults([&](int p, int t) {
      F sum = Get(class_, p, t);
      if constexpr (Format::kHasMin) {
        sum = Isa::Fma(Isa::Load(strip_.min[place][p]), Isa::Set(sums_.sum[t][i]), sum);
      }
      const F x_scale = Isa::Set(x_.scale[t * x_.scale_stride + i]);
      const F scale = Isa::Mul(Isa::Load(strip_.scale[place][p]), x_scale);
      Put(&class_, p, t, Isa::Fma(Isa::ToFloat(Dot(dots_[0], i, p, t)), scale, sum));
    });
  }

  void AddSuperblock(int place, int i) {
    if constexpr (Format::kHasMin) AddMins(place, i);
    ForResults([&](int p, int t) { Put(&part_, p, t, Isa::Zero()); });
    for (int b = 0; b < kSuperBlocks; ++b) {
      AddToPart(place * kSuperBlocks + b, i * kSuperBlocks + b);
    }
    ForResults([&](int p, int t) {
      const F scale = Isa::Load(strip_.scale[place][p]);
      Put(&class_, p, t, Isa::Fma(Get(part_, p, t), scale, Get(class_, p, t)));
    });
  }
  void AddMins(int place, int i) {
    ForResults([&](int p, int t) {
      F part = Isa::Zero();
      for (int s = 0; s < Block::kSubs; ++s) {
        const F min = Isa::Load(strip_.sub_min[place * Block::kSubs + s][p]);
        part = Isa::Fma(min, Isa::Set(sums_.sum[t][i * Block::kSubs + s]), part);
      }
      const F scale = Isa::Load(strip_.min[place][p]);
      Put(&class_, p, t, Isa::Fma(part, scale, Get(class_, p, t)));
    });
  }
  // The integers of 32 columns, times their integer scales.
  void AddToPart(int place, int i) {
    constexpr int kParts = kQuantBlock / Format::kSubCols;
    LLMRUN_UNROLL for (int part = 0; part < kParts; ++part) {
      Dots(place * kParts + part, i * kParts + part, &dots_[part]);
    }
    ForResults([&](int p, int t) {
      I sum = Isa::ZeroInts();
      LLMRUN_UNROLL for (int part = 0; part < kParts; ++part) {
        I dot = Dot(dots_[part], i * kParts + part, p, t);
        if constexpr (Format::kHasSubs) {
          dot = Isa::MulInts(dot, Isa::LoadInts(strip_.sub[place * kParts + part][p]));
        }
        sum = part == 0 ? dot : Isa::AddInts(sum, dot);
      }
      const F x_scale = Isa::Set(x_.scale[t * x_.scale_stride + i]);
      Put(&part_, p, t, Isa::Fma(Isa::ToFloat(sum), x_scale, Get(part_, p, t)));
    });
  }

  const Weights& strip_;
  const TokenSource& x_;
  const Sums& sums_;
  const int tokens_;
  Floats total_;
  Floats class_;
  Floats part_;
  Ints dots_[kQuantBlock / Format::kSubCols];
};

template <class Isa, class Format>
struct TileProduct {
  using Tiles = typename Isa::Tiles;
  using Block = BlockOf<Format>;

  // All tokens with n strips, in tiles of nearly the same size.
  template <int P>
  static void Tokens(const MatmulArgs& args, const Strip<Format, P>* strips, int n, int64_t col,
                     int blocks, const WeightsAhead& ahead, float* out, int64_t out_stride) {
    const int64_t tiles = (args.n_tokens + Tiles::kTokens - 1) / Tiles::kTokens;
    StepsAhead steps(ahead, tiles * n * Block::ClassesOf(blocks));
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t begin = args.n_tokens * i / tiles;
      const auto tokens = static_cast<int>(args.n_tokens * (i + 1) / tiles - begin);
      const int64_t at = begin * args.n_cols + col;
      const TokenSource x = {args.xq.q + at, args.n_cols, args.xq.scale + at / kQuantBlock,
                             args.n_cols / kQuantBlock};
      TokenSums<Format, Tiles::kTokens> sums;
      SumsOfTokens<Isa, Format>::Put(args.xq.sums + at / kSumBlock, x, blocks, tokens, &sums);
      Tiles::Configure(tokens, Format::kSubCols);
      for (int s = 0; s < n; ++s) {
        TileStrip<Isa, Format, P> strip(strips[s], x, sums, tokens);
        strip.Run(blocks, col == 0, &steps, out + begin * out_stride + s * P * kPanelRows,
                  out_stride);
      }
    }
    Tiles::Release();
  }
};

template <class Isa, class Format>
requires requires { typename Isa::Tiles; }
struct ProductOf<Isa, Format> {
  using Type = TileProduct<Isa, Format>;
};

}  // namespace llmrun::generic
