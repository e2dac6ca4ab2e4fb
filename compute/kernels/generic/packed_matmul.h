// The product of packed rows (compute/packing.h) with tokens.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/packed_tile.h"
#include "compute/kernels/generic/panel_matmul.h"

namespace llmrun::generic {

template <class Isa, class Format>
struct PackedMatmul {
  using F = typename Isa::F;
  using Panels = PackedPanels<Isa, Format>;

  static void Run(const MatmulArgs& args) {
    MatmulArgs whole = args;
    const int64_t first = args.row_begin / kPanelRows * kPanelRows;
    if (first < args.row_begin) {
      whole.row_begin = first + kPanelRows;
      PartOfPanel(args, first);
    }
    whole.row_end = args.row_end / kPanelRows * kPanelRows;
    if (whole.row_begin < whole.row_end) {
      if (args.n_tokens == 1) {
        OneToken(whole);
      } else {
        PanelMatmul<Isa, Format>::template WholePanels<Panels>(whole);
      }
    }
    if (whole.row_end < args.row_end && whole.row_end >= whole.row_begin) {
      PartOfPanel(args, whole.row_end);
    }
  }

 private:
  // Sections that are prepared at once; longer rows come in several passes.
  static constexpr int kSections = 4;
  struct Section {
    TokenSource x;
    TokenSums<Format, 1> sums;
    int blocks;
  };

  static void OneToken(const MatmulArgs& args) {
    constexpr int64_t kCols = kSections * kSectionCols;
    for (int64_t col = 0; col < args.n_cols; col += kCols) {
      const int64_t end = col + kCols < args.n_cols ? col + kCols : args.n_cols;
      Section sections[kSections];
      for (int64_t at = col; at < end; at += kSectionCols) {
        Prepare(args, at, &sections[(at - col) / kSectionCols]);
      }
      for (int64_t row = args.row_begin; row < args.row_end; row += kPanelRows) {
        OnePanel(args, row, col, end, sections);
      }
    }
  }
  static void Prepare(const MatmulArgs& args, int64_t col, Section* section) {
    const int64_t rest = args.n_cols - col;
    section->blocks =
        static_cast<int>(rest < kSectionCols ? rest : kSectionCols) / BlockOf<Format>::kCols;
    section->x = {args.xq.q + col, args.n_cols, args.xq.scale + col / kQuantBlock,
                  args.n_cols / kQuantBlock};
    SumsOfTokens<Isa, Format>::Put(args.xq.sums + col / kSumBlock, section->x, section->blocks, 1,
                                   &section->sums);
  }
  static void OnePanel(const MatmulArgs& args, int64_t row, int64_t col, int64_t end,
                       const Section* sections) {
    const auto row_bytes = static_cast<int64_t>(args.row_bytes);
    const std::byte* w = args.weights + row * row_bytes;
    float* out = args.out + row;
    F total = col == 0 ? Isa::Zero() : Isa::Load(out);
    for (int64_t at = col; at < end; at += kSectionCols, ++sections) {
      const PackedTile<Isa, Format> tile{Panels::At(w, row_bytes, at), sections->x, sections->sums,
                                         sections->blocks};
      total = tile.Add(total);
    }
    Isa::Store(out, total);
  }
  // The rows of a panel that are wanted.
  static void PartOfPanel(const MatmulArgs& args, int64_t first) {
    const int64_t begin = first < args.row_begin ? args.row_begin : first;
    const int64_t end = first + kPanelRows < args.row_end ? first + kPanelRows : args.row_end;
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
      one.out = results;
      OneToken(one);
      for (int64_t row = begin; row < end; ++row) {
        args.out[t * args.out_stride + row] = results[row - first];
      }
    }
  }
};

}  // namespace llmrun::generic
