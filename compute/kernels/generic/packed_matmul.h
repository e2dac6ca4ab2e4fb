// The product of packed rows (compute/packing.h) with few tokens: weights are not unpacked first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/packed_tile.h"
#include "compute/kernels/generic/strip_unpack.h"
#include "compute/kernels/generic/token_sums.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format>
struct PackedMatmul {
  using F = typename Isa::F;
  using Panels = PackedPanels<Isa, Format>;

  static constexpr int kFewTokens = Isa::kFewTokens;  // of a tile
  static constexpr int kTiles = Isa::FewTiles(Format::kSuper);
  static constexpr int kMostTokens = kFewTokens * kTiles;

  // Whole panels and at most kMostTokens, or rows of one panel and any number of tokens.
  static void Run(const MatmulArgs& args) {
    if (args.row_begin % kPanelRows == 0 && args.row_end % kPanelRows == 0) {
      WholePanels(args);
    } else {
      PartOfPanel(args);
    }
  }

 private:
  static constexpr bool kCanLookUp = Isa::kHasTables && requires { Format::kTwoBits; };
  // Sections that are prepared at once; longer rows come in several passes.
  static constexpr int kSections = 4;
  struct Section {
    TokenSource x;
    TokenSums<Format, kFewTokens> sums;
    int blocks;
    LookupTables<Isa> tables;
  };
  struct Tile {
    int64_t begin;  // of its tokens
    int tokens;
    Section sections[kSections];
  };

  // Tiles are of nearly the same size: five tokens are three and two.
  static void WholePanels(const MatmulArgs& args) {
    constexpr int64_t kCols = kSections * kSectionCols;
    Tile tiles[kTiles];
    const auto n = static_cast<int>((args.n_tokens + kFewTokens - 1) / kFewTokens);
    for (int i = 0; i < n; ++i) {
      tiles[i].begin = args.n_tokens * i / n;
      tiles[i].tokens = static_cast<int>(args.n_tokens * (i + 1) / n - tiles[i].begin);
    }
    for (int64_t col = 0; col < args.n_cols; col += kCols) {
      const int64_t end = col + kCols < args.n_cols ? col + kCols : args.n_cols;
      for (int i = 0; i < n; ++i) {
        for (int64_t at = col; at < end; at += kSectionCols) {
          Prepare(args, at, tiles[i], &tiles[i].sections[(at - col) / kSectionCols]);
        }
      }
      for (int64_t row = args.row_begin; row < args.row_end; row += kPanelRows) {
        if (LooksUp(args)) {
          LookUpPanel(args, row, col, end, tiles[0]);
          continue;
        }
        for (int i = 0; i < n; ++i) OnePanel<kFewTokens>(args, row, col, end, tiles[i]);
      }
    }
  }
  static void Prepare(const MatmulArgs& args, int64_t col, const Tile& tile, Section* section) {
    const int64_t rest = args.n_cols - col;
    const int64_t at = tile.begin * args.n_cols + col;
    section->blocks =
        static_cast<int>(rest < kSectionCols ? rest : kSectionCols) / BlockOf<Format>::kCols;
    section->x = {args.xq.q + at, args.n_cols, args.xq.scale + at / kQuantBlock,
                  args.n_cols / kQuantBlock};
    const int16_t* sums = args.xq.sums + at / kSumBlock;
    SumsOfTokens<Isa, Format>::Put(sums, section->x, section->blocks, tile.tokens, &section->sums);
    if (!LooksUp(args)) return;
    section->tables = LookupTables<Isa>(args.xq, args.n_cols, col);
    section->tables.template PutStarts<Format>(sums, section->blocks * BlockOf<Format>::kCols,
                                               section->sums.start[0]);
  }
  static bool LooksUp(const MatmulArgs& args) {
    return kCanLookUp && args.n_tokens == 1 && args.xq.tables != nullptr;
  }
  static void LookUpPanel(const MatmulArgs& args, int64_t row, int64_t col, int64_t end,
                          const Tile& tile) {
    if constexpr (kCanLookUp) OnePanel<1, true>(args, row, col, end, tile);
  }
  template <int T, bool kLooksUp = false>
  static void OnePanel(const MatmulArgs& args, int64_t row, int64_t col, int64_t end,
                       const Tile& tile) {
    if constexpr (T > 1) {
      if (tile.tokens < T) return OnePanel<T - 1>(args, row, col, end, tile);
    }
    const auto row_bytes = static_cast<int64_t>(args.row_bytes);
    const std::byte* w = args.weights + row * row_bytes;
    float* out = args.out + tile.begin * args.out_stride + row;
    F total[T];
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      total[t] = col == 0 ? Isa::Zero() : Isa::Load(out + t * args.out_stride);
    }
    const Section* section = tile.sections;
    for (int64_t at = col; at < end; at += kSectionCols, ++section) {
      const PackedTile<Isa, Format, T, kLooksUp> product{Panels::At(w, row_bytes, at), section->x,
                                                         section->sums, section->blocks,
                                                         section->tables};
      product.Add(total);
    }
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) Isa::Store(out + t * args.out_stride, total[t]);
  }
  static void PartOfPanel(const MatmulArgs& args) {
    const int64_t first = args.row_begin / kPanelRows * kPanelRows;
    for (int64_t t = 0; t < args.n_tokens; ++t) {
      alignas(64) float results[kPanelRows];
      MatmulArgs one = args;
      one.weights += first * static_cast<int64_t>(args.row_bytes);
      one.row_begin = 0;
      one.row_end = kPanelRows;
      one.n_tokens = 1;
      one.xq.q += t * args.n_cols;
      one.xq.scale += t * (args.n_cols / kQuantBlock);
      one.xq.sums += t * (args.n_cols / kSumBlock);
      if (args.n_tokens > 1) one.xq.tables = nullptr;
      one.out = results;
      WholePanels(one);
      for (int64_t row = args.row_begin; row < args.row_end; ++row) {
        args.out[t * args.out_stride + row] = results[row - first];
      }
    }
  }
};

}  // namespace llmrun::generic
