// Products of one panel of packed rows with one token, whose weights go from memory to registers
// and are read in one stream. The sums are those of generic/panel_tile.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/panel_tile.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/strip_unpack.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format>
struct PackedTile {
  using F = typename Isa::F;
  using I = typename Isa::I;
  using In = typename PackedPanels<Isa, Format>::In;
  using Block = BlockOf<Format>;
  static constexpr bool kHasStart = Isa::template HasStart<Format::kOffset>();

  const PackedPanels<Isa, Format> source;
  const TokenSource& x;
  const TokenSums<Format, 1>& token;
  int blocks;  // of memory, in the section

  LLMRUN_INLINE F Add(F total) const {
    int place = 0;
    for (int c = 0; c < Block::kClasses && c < blocks; ++c) {
      F acc = Isa::Zero();
      for (int i = c; i < blocks; i += Block::kClasses, ++place) {
        acc = AddBlock(source.Block(0, place), i, acc);
      }
      total = Isa::Add(total, acc);
    }
    return total;
  }

 private:
  // A superblock takes about as many instructions as a processor has in flight at a time: without
  // it, memory would be waited for (half the speed of Q4_K, Q6_K). Of smaller blocks enough are in
  // flight; there it brings nothing.
  static constexpr bool kPrefetches = Format::kSuper;
  static constexpr int kAheadBytes = 6144;

  LLMRUN_INLINE F AddBlock(const In& in, int i, F acc) const {
    I dots[Block::kSubs];
    Dots(in, i, dots);
    if constexpr (Format::kSuper) {
      return AddSuperblock(in, i, dots, acc);
    } else {
      if constexpr (Format::kHasMin) {
        acc = Isa::Fma(Format::Min(in), Isa::Set(token.sum[0][i]), acc);
      }
      const F scale = Isa::Mul(Format::Scale(in), Isa::Set(x.scale[i]));
      return Isa::Fma(Isa::ToFloat(dots[0]), scale, acc);
    }
  }
  LLMRUN_INLINE void Dots(const In& in, int i, I (&dots)[Block::kSubs]) const {
    constexpr int kPieces = Format::kSubCols / 16;
    Format::Quants(in, [&](int piece, const typename In::Pieces& groups) {
      if constexpr (kPrefetches) Prefetch(in.at + kAheadBytes, piece);
      const int8_t* from = x.q + i * Block::kCols + piece * 16;
      const int sub = piece / kPieces;
      I& dot = dots[sub];
      // Not all at once, which takes registers; formats give the first piece of a sub-block first.
      if (piece % kPieces == 0) {
        dot = kHasStart ? Isa::SpreadInt(&token.start[0][i * Block::kSubs + sub]) : Isa::ZeroInts();
      }
      constexpr int kChain = Isa::template Chain<Format::kMost>(4);
      LLMRUN_UNROLL for (int g = 0; g < 4; g += kChain) {
        dot = AddProducts<kChain>(dot, groups.v + g, from + g * kGroupCols);
      }
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
  // The lines of a block, some at each of its pieces.
  LLMRUN_INLINE static void Prefetch(const std::byte* block, int piece) {
    constexpr int kLines = (Format::kBytes * kPanelRows + 63) / 64;
    constexpr int kPieces = Block::kCols / 16;
    const int end = (piece + 1) * kLines / kPieces;
    LLMRUN_UNROLL for (int line = piece * kLines / kPieces; line < end; ++line) {
      __builtin_prefetch(block + line * 64);
    }
  }
  LLMRUN_INLINE F AddSuperblock(const In& in, int i, I (&dots)[Block::kSubs], F acc) const {
    if constexpr (Format::kHasSubs) {
      typename In::Ints subs[Block::kSubs / 4];
      if constexpr (Format::kHasMin) {
        typename In::Ints mins[Block::kSubs / 4];
        Format::Subs(in, subs, mins);
        acc = Isa::Fma(MinPart(mins, i), Format::Min(in), acc);
      } else {
        Format::Subs(in, subs);
      }
      LLMRUN_UNROLL for (int s = 0; s < Block::kSubs; ++s) {
        dots[s] = Isa::MulInts(dots[s], subs[s / 4].v[s % 4]);
      }
    }
    constexpr int kParts = kQuantBlock / Format::kSubCols;
    F part = Isa::Zero();
    LLMRUN_UNROLL for (int b = 0; b < kSuperBlocks; ++b) {
      I sum = dots[b * kParts];
      if constexpr (kParts == 2) sum = Isa::AddInts(sum, dots[b * kParts + 1]);
      part = Isa::Fma(Isa::ToFloat(sum), Isa::Set(x.scale[i * kSuperBlocks + b]), part);
    }
    return Isa::Fma(part, Format::Scale(in), acc);
  }
  template <class Ints>
  LLMRUN_INLINE F MinPart(const Ints& mins, int i) const {
    F part = Isa::Zero();
    LLMRUN_UNROLL for (int s = 0; s < Block::kSubs; ++s) {
      part = Isa::Fma(Isa::ToFloat(mins[s / 4].v[s % 4]),
                      Isa::Set(token.sum[0][i * Block::kSubs + s]), part);
    }
    return part;
  }
};

}  // namespace llmrun::generic
