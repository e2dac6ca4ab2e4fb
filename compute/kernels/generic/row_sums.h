// What a batch of columns of one row of weights adds to the sums of a token: F acc has a class of
// blocks in each lane (or, of superblocks, in each four lanes).
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/prefetch.h"
#include "compute/kernels/generic/row_token.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format, bool kSuper = Format::kSuper>
struct RowSums {
  using F = typename Isa::F;
  using I = typename Isa::I;
  using Token = RowToken<Isa, Format>;
  using Batch = RowBatch<Format>;
  using Ahead = StreamAhead<Batch::kBlocks * Format::kBytes, Batch::kUnits * Batch::kPieces>;

  LLMRUN_INLINE static F Add(const std::byte* w, const std::byte* ahead, const Token& token,
                             int batch, F acc) {
    const SixteenBlocks<Isa, Format::kBytes> in{w};
    const I dot = Dot(w, Ahead(ahead), token, batch);
    if constexpr (Format::kHasMin) {
      acc = Isa::Fma(Format::Min(in), Isa::Load(token.sum[batch]), acc);
    }
    const F scale = Isa::Mul(Format::Scale(in), Isa::Load(token.scale[batch]));
    return Isa::Fma(Isa::ToFloat(dot), scale, acc);
  }

 private:
  LLMRUN_INLINE static I Dot(const std::byte* w, Ahead ahead, const Token& token, int batch) {
    I units[4];
    LLMRUN_UNROLL for (int u = 0; u < 4; ++u) {
      I sum = Isa::ZeroInts();
      const FourBlocks<Isa> in{w + 4 * u * Format::kBytes, Format::kBytes};
      Format::Quants(in, [&](int piece, const typename FourBlocks<Isa>::Pieces& bytes) {
        ahead.Step();
        sum = Isa::template AddDot<Format::kOffset>(sum, bytes.v[0],
                                                    Isa::LoadBytes(token.q[batch][u][piece][0]));
      });
      units[u] = sum;
    }
    I dot = Isa::SumOfFours(units);
    if constexpr (Token::kHasStart) dot = Isa::AddInts(dot, Isa::LoadInts(token.start[batch]));
    return Isa::TurnFours(dot);
  }
};

template <class Isa, class Format>
struct RowSums<Isa, Format, true> {
  using F = typename Isa::F;
  using I = typename Isa::I;
  using Token = RowToken<Isa, Format>;
  using In = FourBlocks<Isa>;
  using Batch = RowBatch<Format>;
  using Ahead = StreamAhead<Batch::kBlocks * Format::kBytes, Batch::kPieces>;
  static constexpr int kSubs = kSuperCols / Format::kSubCols;
  static constexpr int kFours = kSuperBlocks / 4;  // blocks of a superblock by four

  LLMRUN_INLINE static F Add(const std::byte* w, const std::byte* ahead, const Token& token,
                             int batch, F acc) {
    const In in{w, Format::kBytes};
    I sums[kFours];
    if constexpr (!Format::kHasSubs) {
      Dots(in, Ahead(ahead), token, batch, sums);
    } else {
      typename In::Ints subs[kSubs / 4];
      typename In::Ints mins[kSubs / 4];
      if constexpr (Format::kHasMin) {
        Format::Subs(in, subs, mins);
        acc = AddMins(in, mins, token.sum[batch], acc);
      } else {
        Format::Subs(in, subs);
      }
      ScaledDots(in, Ahead(ahead), token, batch, subs, sums);
    }
    return Isa::Fma(Part(sums, token.scale[batch]), Format::Scale(in), acc);
  }

 private:
  LLMRUN_INLINE static F AddMins(const In& in, const typename In::Ints (&mins)[kSubs / 4],
                                 const float* factors, F acc) {
    I ints[kSubs / 4];
    LLMRUN_UNROLL for (int i = 0; i < kSubs / 4; ++i) ints[i] = mins[i].v[0];
    return Isa::Fma(Part(ints, factors), Format::Min(in), acc);
  }
  // The integers of 32 columns of four superblocks, with their integer scales.
  LLMRUN_INLINE static void ScaledDots(const In& in, Ahead ahead, const Token& token, int batch,
                                       const typename In::Ints (&subs)[kSubs / 4],
                                       I (&sums)[kFours]) {
    I dots[kSubs / 4];
    Dots(in, ahead, token, batch, dots);
    LLMRUN_UNROLL for (int i = 0; i < kSubs / 4; ++i) dots[i] = Isa::MulInts(dots[i], subs[i].v[0]);
    LLMRUN_UNROLL for (int i = 0; i < kFours; ++i) {
      if constexpr (kSubs / 4 == kFours) {
        sums[i] = dots[i];
      } else {
        sums[i] = Isa::AddPairs(dots[2 * i], dots[2 * i + 1]);
      }
    }
  }
  LLMRUN_INLINE static void Dots(const In& in, Ahead ahead, const Token& token, int batch,
                                 I (&sums)[kSubs / 4]) {
    constexpr int kPieces = Format::kSubCols / kPieceCols;  // of a sub-block
    I dots[kSubs / 4][4];
    LLMRUN_UNROLL for (int i = 0; i < kSubs; ++i) dots[i / 4][i % 4] = Isa::ZeroInts();
    Format::Quants(in, [&](int piece, const typename In::Pieces& bytes) {
      ahead.Step();
      I& dot = dots[piece / kPieces / 4][piece / kPieces % 4];
      dot = Isa::template AddDot<Format::kOffset>(dot, bytes.v[0],
                                                  Isa::LoadBytes(token.q[batch][0][piece][0]));
    });
    LLMRUN_UNROLL for (int i = 0; i < kSubs / 4; ++i) {
      sums[i] = Isa::SumOfFours(dots[i]);
      if constexpr (Token::kHasStart) {
        sums[i] = Isa::AddInts(sums[i], Isa::LoadInts(token.start[batch] + i * kPanelRows));
      }
    }
  }
  // One block of each superblock after the other.
  template <int n>
  LLMRUN_INLINE static F Part(const I (&sums)[n], const float* factors) {
    F part = Isa::Zero();
    LLMRUN_UNROLL for (int i = 0; i < n; ++i) {
      const F values = Isa::ToFloat(sums[i]);
      const float* four = factors + 4 * i * kPanelRows;
      part = Isa::Fma(Isa::template Lane<0>(values), Isa::Load(four), part);
      part = Isa::Fma(Isa::template Lane<1>(values), Isa::Load(four + kPanelRows), part);
      part = Isa::Fma(Isa::template Lane<2>(values), Isa::Load(four + 2 * kPanelRows), part);
      part = Isa::Fma(Isa::template Lane<3>(values), Isa::Load(four + 3 * kPanelRows), part);
    }
    return part;
  }
};

}  // namespace llmrun::generic
