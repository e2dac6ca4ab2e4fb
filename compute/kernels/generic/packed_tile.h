// Products of one panel of packed rows with T tokens, few of them: weights go from memory to
// registers and are read in one stream. The sums are those of generic/panel_tile.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/panel_tile.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/prefetch.h"
#include "compute/kernels/generic/strip_unpack.h"
#include "compute/kernels/generic/table_lookup.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// kLooksUp: of a single token, sums are looked up in tables, not multiplied.
template <class Isa, class Format, int T, bool kLooksUp = false>
struct PackedTile {
  static_assert(T == 1 || !kLooksUp);
  using F = typename Isa::F;
  using I = typename Isa::I;
  using In = typename PackedPanels<Isa, Format>::In;
  using Block = BlockOf<Format>;
  static constexpr bool kHasStart = Isa::template HasStart<Format::kOffset>();

  const PackedPanels<Isa, Format> source;
  const TokenSource& x;
  const TokenSums<Format, Isa::kFewTokens>& tokens;
  int blocks;  // of memory, in the section
  LookupTables<Isa> tables = {};

  LLMRUN_INLINE void Add(F (&total)[T]) const {
    int place = 0;
    for (int c = 0; c < Block::ClassesOf(blocks); ++c) {
      F acc[T];
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) acc[t] = Isa::Zero();
      for (int i = c; i < blocks; i += Block::kClasses, ++place) {
        AddBlock(source.Block(0, place), i, acc);
      }
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) total[t] = Isa::Add(total[t], acc[t]);
    }
  }

 private:
  static constexpr bool kPrefetches = Format::kSuper || Isa::kPrefetchesAll;
  static constexpr int kAheadBytes = Format::kSuper ? Isa::kSuperblockAheadBytes : 6144;
  using Ahead = StreamAhead<Format::kBytes * kPanelRows, Block::kCols / 16>;

  LLMRUN_INLINE F Scale(int t, int block) const {
    return Isa::Set(x.scale[t * x.scale_stride + block]);
  }
  static constexpr bool kAtOnce =
      Isa::kScalesAtOnce && !kLooksUp && Format::kSuper && Format::kHasSubs;

  LLMRUN_INLINE void AddBlock(const In& in, int i, F (&acc)[T]) const {
    if constexpr (Format::kSuper) {
      AddSuperblock(in, i, acc);
    } else {
      I dots[1][T];
      Dots(in, i, dots);
      const F w_scale = Format::Scale(in);
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        if constexpr (Format::kHasMin) {
          acc[t] = Isa::Fma(Format::Min(in), Isa::Set(tokens.sum[t][i]), acc[t]);
        }
        acc[t] = Isa::Fma(Isa::ToFloat(dots[0][t]), Isa::Mul(w_scale, Scale(t, i)), acc[t]);
      }
    }
  }
  LLMRUN_INLINE void AddSuperblock(const In& in, int i, F (&acc)[T]) const {
    constexpr int kParts = kQuantBlock / Format::kSubCols;
    I dots[Block::kSubs][T];
    if constexpr (!kAtOnce) Dots(in, i, dots);
    typename In::Ints subs[Block::kSubs / 4];
    if constexpr (Format::kHasSubs) PutSubs(in, i, subs, acc);
    F part[T];
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) part[t] = Isa::Zero();
    const auto add = [&](int sub, int t) {
      I& dot = dots[sub][t];
      if constexpr (Format::kHasSubs) dot = Isa::MulInts(dot, subs[sub / 4].v[sub % 4]);
      if (sub % kParts != kParts - 1) return;
      if constexpr (kParts == 2) dot = Isa::AddInts(dots[sub - 1][t], dot);
      part[t] = Isa::Fma(Isa::ToFloat(dot), Scale(t, i * kSuperBlocks + sub / kParts), part[t]);
    };
    if constexpr (kAtOnce) {
      // Formats finish the 32 columns of a scale of activations in their order, and their first
      // sub-block first.
      EachPiece(in, i, dots,
                [&](int sub) { LLMRUN_UNROLL for (int t = 0; t < T; ++t) add(sub, t); });
    } else {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        LLMRUN_UNROLL for (int sub = 0; sub < Block::kSubs; ++sub) add(sub, t);
      }
    }
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) acc[t] = Isa::Fma(part[t], Format::Scale(in), acc[t]);
  }
  LLMRUN_INLINE void Dots(const In& in, int i, I (&dots)[Block::kSubs][T]) const {
    if constexpr (kLooksUp) {
      LookUpDots(in, i, dots);
    } else {
      EachPiece(in, i, dots, [](int /*sub*/) {});
    }
  }
  // Calls done(sub) after the last piece of each sub-block.
  template <class Done>
  LLMRUN_INLINE void EachPiece(const In& in, int i, I (&dots)[Block::kSubs][T], Done done) const {
    constexpr int kPieces = Format::kSubCols / 16;
    Ahead ahead(in.at + kAheadBytes);
    Format::Quants(in, [&](int piece, const typename In::Pieces& groups) {
      if constexpr (kPrefetches) ahead.Step();
      const int sub = piece / kPieces;
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        const int8_t* from = x.q + t * x.q_stride + i * Block::kCols + piece * 16;
        I& dot = dots[sub][t];
        // Not all at once, which takes registers; formats give the first piece of a sub-block
        // first.
        if (piece % kPieces == 0) {
          const int32_t* start = &tokens.start[t][i * Block::kSubs + sub];
          dot = kHasStart ? Isa::SpreadInt(start) : Isa::ZeroInts();
        }
        constexpr int kChain = Isa::template Chain<Format::kMost>(4);
        LLMRUN_UNROLL for (int g = 0; g < 4; g += kChain) {
          dot = AddProducts<kChain>(dot, groups.v + g, from + g * kGroupCols);
        }
      }
      if (piece % kPieces == kPieces - 1) done(sub);
    });
  }
  LLMRUN_INLINE void LookUpDots(const In& in, int i, I (&dots)[Block::kSubs][T]) const {
    constexpr int kPieces = Format::kSubCols / kPieceColumns;
    using Pairs = PairedRows<Isa, typename Format::Order>;
    const int8_t* from = tables.tables + int64_t{i} * Block::kCols * kTableBytesPerColumn;
    const int32_t* start = &tokens.start[0][i * Block::kSubs];
    Ahead ahead(in.at + kAheadBytes);
    Format::Quants(Pairs{in.at}, [&](int piece, const typename Pairs::Pieces& places) {
      ahead.Step();
      I& dot = dots[piece / kPieces][0];
      if (piece % kPieces == 0) dot = Isa::SpreadInt(start + piece / kPieces);
      dot = Isa::AddInts(dot, LookUpPiece<Isa>(from + piece * kPieceTableBytes, places));
    });
  }
  // Of n groups of weights.
  template <int n>
  LLMRUN_INLINE static I AddProducts(I dot, const typename Isa::B* w, const int8_t* from) {
    if constexpr (n == 1) {
      return Isa::template AddDot<Format::kOffset>(dot, w[0], Isa::SpreadFour(from));
    } else {
      auto sum = Isa::ShortDot(w[0], Isa::SpreadFour(from));
      LLMRUN_UNROLL for (int g = 1; g < n; ++g) {
        sum = Isa::AddShorts(sum, Isa::ShortDot(w[g], Isa::SpreadFour(from + g * kGroupCols)));
      }
      return Isa::AddPairsOfShorts(dot, sum);
    }
  }
  // Scales of sub-blocks; minimums, if there are any, are added to acc.
  template <class Subs>
  LLMRUN_INLINE void PutSubs(const In& in, int i, Subs& subs, F* acc) const {
    if constexpr (Format::kHasMin) {
      Subs mins;
      Format::Subs(in, subs, mins);
      AddMins(in, mins, i, acc);
    } else {
      Format::Subs(in, subs);
    }
  }
  template <class Ints>
  LLMRUN_INLINE void AddMins(const In& in, const Ints& mins, int i, F* acc) const {
    F part[T];
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) part[t] = Isa::Zero();
    LLMRUN_UNROLL for (int s = 0; s < Block::kSubs; ++s) {
      const F min = Isa::ToFloat(mins[s / 4].v[s % 4]);
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        part[t] = Isa::Fma(min, Isa::Set(tokens.sum[t][i * Block::kSubs + s]), part[t]);
      }
    }
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      acc[t] = Isa::Fma(part[t], Format::Min(in), acc[t]);
    }
  }
};

}  // namespace llmrun::generic
