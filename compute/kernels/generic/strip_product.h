// Multiplies unpacked sections of weights with the activations of their columns, and adds to
// results.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/panel_tile.h"
#include "compute/kernels/generic/prefetch.h"
#include "compute/kernels/generic/token_sums.h"

namespace llmrun::generic {

template <class Isa, class Format>
struct StripProduct {
  using Block = BlockOf<Format>;
  static constexpr int kMostTokens = Isa::PanelTokens(Format::kSubCols);  // of a tile

  // All tokens with n strips, and the weights that come next into the caches, which is worth more
  // the fewer tokens there are. Tiles of nearly the same size: 8 tokens are 4 and 4, not 6 and 2.
  template <int P>
  static void Tokens(const MatmulArgs& args, const Strip<Format, P>* strips, int n, int64_t col,
                     int blocks, const WeightsAhead& ahead, float* out, int64_t out_stride) {
    const int64_t tiles = (args.n_tokens + kMostTokens - 1) / kMostTokens;
    StepsAhead steps(ahead, tiles * n * BlockOf<Format>::ClassesOf(blocks));
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t begin = args.n_tokens * i / tiles;
      const int64_t end = args.n_tokens * (i + 1) / tiles;
      Tile<P, kMostTokens>(static_cast<int>(end - begin), args, strips, n, begin, col, blocks,
                           &steps, out + begin * out_stride, out_stride);
    }
  }

 private:
  template <int P, int T>
  static void Tile(int tokens, const MatmulArgs& args, const Strip<Format, P>* strips, int n,
                   int64_t token, int64_t col, int blocks, StepsAhead* ahead, float* out,
                   int64_t out_stride) {
    if constexpr (T > 1) {
      if (tokens < T) {
        return Tile<P, T - 1>(tokens, args, strips, n, token, col, blocks, ahead, out, out_stride);
      }
    }
    const int64_t at = token * args.n_cols + col;
    const TokenSource x = {args.xq.q + at, args.n_cols, args.xq.scale + at / kQuantBlock,
                           args.n_cols / kQuantBlock, args.xq.sums + at / kSumBlock};
    TokenSums<Format, T> sums;
    SumsOfTokens<Isa, Format>::Put(x.sums, x, blocks, T, &sums);
    if constexpr (kWeightBytes<Format> == 2) {
      WideTokens<Isa, T> wide;
      const TokenSource words = wide.Put(x, blocks * Block::kCols);
      Multiply<P, T>(strips, n, words, sums, col, blocks, ahead, out, out_stride);
    } else {
      Multiply<P, T>(strips, n, x, sums, col, blocks, ahead, out, out_stride);
    }
  }
  template <int P, int T>
  static void Multiply(const Strip<Format, P>* strips, int n, const TokenSource& x,
                       const TokenSums<Format, T>& sums, int64_t col, int blocks, StepsAhead* ahead,
                       float* out, int64_t out_stride) {
    for (int i = 0; i < n; ++i) {
      PanelTile<Isa, Format, P, T> tile{{strips[i], x, sums}, blocks, ahead, {}};
      tile.Run(col == 0, out + i * P * kPanelRows, out_stride);
    }
  }
};

// What multiplies strips on an instruction set.
template <class Isa, class Format>
struct ProductOf {
  using Type = StripProduct<Isa, Format>;
};

}  // namespace llmrun::generic
