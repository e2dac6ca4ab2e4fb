// Multiplies unpacked sections of weights with the activations of their columns, and adds to
// results.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/panel_tile.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format>
struct StripProduct {
  using F = typename Isa::F;
  using Block = BlockOf<Format>;
  static constexpr int kMostTokens = Isa::PanelTokens(Format::kSubCols);  // of a tile

  // All tokens with n strips. Tiles of nearly the same size: 8 tokens are 4 and 4, not 6 and 2.
  template <int P>
  static void Tokens(const MatmulArgs& args, const Strip<Format, P>* strips, int n, int64_t col,
                     int blocks, float* out, int64_t out_stride) {
    const int64_t tiles = (args.n_tokens + kMostTokens - 1) / kMostTokens;
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t begin = args.n_tokens * i / tiles;
      const int64_t end = args.n_tokens * (i + 1) / tiles;
      Tile<P, kMostTokens>(static_cast<int>(end - begin), args, strips, n, begin, col, blocks,
                           out + begin * out_stride, out_stride);
    }
  }

  // Sums of activations, as a tile wants them. `sums`: from the first column of the section on.
  template <int T>
  static void Sums(const int16_t* sums, const TokenSource& x, int blocks,
                   TokenSums<Format, T>* tokens) {
    for (int t = 0; t < T; ++t) {
      const int16_t* from = sums + t * (x.q_stride / kSumBlock);
      int b = 0;
      for (; b + kLanes <= blocks; b += kLanes) PutStarts(from + 2 * b, b, t, tokens);
      if (b < blocks) {
        int16_t last[2 * kLanes] = {};
        __builtin_memcpy(last, from + 2 * b, static_cast<size_t>(blocks - b) * 2 * sizeof *last);
        PutStarts(last, b, t, tokens);
      }
      if constexpr (Format::kHasMin) {
        PutSums(from, x.scale + t * x.scale_stride, blocks, tokens->sum[t]);
      }
    }
  }

 private:
  template <int P, int T>
  static void Tile(int tokens, const MatmulArgs& args, const Strip<Format, P>* strips, int n,
                   int64_t token, int64_t col, int blocks, float* out, int64_t out_stride) {
    if constexpr (T > 1) {
      if (tokens < T) {
        return Tile<P, T - 1>(tokens, args, strips, n, token, col, blocks, out, out_stride);
      }
    }
    const int64_t at = token * args.n_cols + col;
    const TokenSource x = {args.xq.q + at, args.n_cols, args.xq.scale + at / kQuantBlock,
                           args.n_cols / kQuantBlock};
    TokenSums<Format, T> sums;
    Sums(args.xq.sums + at / kSumBlock, x, blocks * (Block::kCols / kQuantBlock), &sums);
    if (token + 2 * T <= args.n_tokens) {
      Prefetch<T>(x.q + T * args.n_cols, args.n_cols, blocks * Block::kCols);
    }
    for (int i = 0; i < n; ++i) {
      PanelTile<Isa, Format, P, T> tile{strips[i], x, sums, blocks, {}};
      tile.Run(col == 0, out + i * P * kPanelRows, out_stride);
    }
  }
  // The next tokens' activations come from afar, in runs too short for the processor to foresee.
  template <int T>
  static void Prefetch(const int8_t* q, int64_t stride, int cols) {
    for (int t = 0; t < T; ++t) {
      for (int i = 0; i < cols; i += 64) __builtin_prefetch(q + t * stride + i, 0, 2);
    }
  }

  // Of 16 blocks from b on.
  template <int T>
  LLMRUN_INLINE static void PutStarts(const int16_t* from, int b, int t,
                                      TokenSums<Format, T>* tokens) {
    if constexpr (!Isa::template HasStart<Format::kOffset>()) return;
    if constexpr (Format::kSubCols == kQuantBlock) {
      Isa::StoreInts(&tokens->start[t][b], Isa::template Pairs<-Format::kOffset>(from));
    } else {
      int32_t* to = &tokens->start[t][2 * b];
      Isa::StoreInts(to, Isa::template Widen<-Format::kOffset>(from));
      Isa::StoreInts(to + kLanes, Isa::template Widen<-Format::kOffset>(from + kLanes));
    }
  }
  static void PutSums(const int16_t* from, const float* scale, int blocks, float* sum) {
    int b = 0;
    if constexpr (Format::kSubCols == kQuantBlock) {
      for (; b + kLanes <= blocks; b += kLanes) {
        const F all = Isa::ToFloat(Isa::template Pairs<1>(from + 2 * b));
        Isa::Store(sum + b, Isa::Mul(Isa::Load(scale + b), all));
      }
      for (; b < blocks; ++b) sum[b] = scale[b] * static_cast<float>(from[2 * b] + from[2 * b + 1]);
    } else {
      for (; b < 2 * blocks; ++b) sum[b] = scale[b / 2] * static_cast<float>(from[b]);
    }
  }
};

}  // namespace llmrun::generic
