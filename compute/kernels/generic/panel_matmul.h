// The product of quantized weights with several tokens: rows are unpacked into panels, section by
// section, and each section is multiplied with all tokens.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/prefetch.h"
#include "compute/kernels/generic/strip_product.h"
#include "compute/kernels/generic/strip_unpack.h"

namespace llmrun::generic {

template <class Isa, class Format>
struct PanelMatmul {
  using Unpack = StripUnpack<Isa, Format>;
  using Product = typename ProductOf<Isa, Format>::Type;
  using Block = BlockOf<Format>;
  using Raw = RawPanels<Isa, Format>;

  static void Run(const MatmulArgs& args) {
    const int64_t row = WholePanels<Raw>(args);
    if (row < args.row_end) LastRows(args, row);
  }
  // Returns the first row behind them.
  template <class Source>
  static int64_t WholePanels(const MatmulArgs& args) {
    const int64_t row = Strips<Source, Isa::kPanels>(args, args.row_begin);
    if constexpr (Isa::kPanels == 1) return row;
    return Strips<Source, 1>(args, row);
  }

  // Fewer than 16 rows up to the end: copies, with zeros behind them.
  static void LastRows(const MatmulArgs& args, int64_t row) {
    const auto stride = static_cast<int64_t>(args.row_bytes);
    const auto rows = static_cast<int>(args.row_end - row);
    constexpr int64_t kCopyStride = kSectionCols / Block::kCols * Format::kBytes;
    std::byte copy[kPanelRows * kCopyStride];
    Strip<Format, 1> strip;
    __builtin_memset(copy, 0, sizeof copy);
    for (int64_t col = 0; col < args.n_cols; col += kSectionCols) {
      const int blocks = BlocksFrom(args, col);
      const std::byte* from = args.weights + row * stride + col / Block::kCols * Format::kBytes;
      for (int r = 0; r < rows; ++r) {
        __builtin_memcpy(copy + r * kCopyStride, from + r * stride,
                         static_cast<size_t>(blocks * Format::kBytes));
      }
      Unpack::template Panels<1>(Raw{copy, kCopyStride}, blocks, &strip);
      for (int64_t t = 0; t < args.n_tokens; t += Product::kMostTokens) {
        LastResults(args, row, rows, t, strip, col, blocks);
      }
    }
  }

 private:
  // Strips that are unpacked together, to be multiplied with a tile of tokens in turn.
  static constexpr int kStrips = 2;

  static int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }
  static int BlocksFrom(const MatmulArgs& args, int64_t col) {
    return static_cast<int>(Least(kSectionCols, args.n_cols - col)) / Block::kCols;
  }

  template <class Source, int P>
  static int64_t Strips(const MatmulArgs& args, int64_t row) {
    constexpr int64_t kRows = P * kPanelRows;
    while (row + kRows <= args.row_end) {
      const auto n = static_cast<int>(Least((args.row_end - row) / kRows, kStrips));
      SomeStrips<Source, P>(args, row, n);
      row += n * kRows;
    }
    return row;
  }
  template <class Source, int P>
  static void SomeStrips(const MatmulArgs& args, int64_t row, int n) {
    Strip<Format, P> strips[kStrips];
    for (int64_t col = 0; col < args.n_cols; col += kSectionCols) {
      const int blocks = BlocksFrom(args, col);
      const Source source = At<Source>(args, row, col);
      for (int i = 0; i < n; ++i) {
        Unpack::template Panels<P>(source.Skip(i * P * kPanelRows), blocks, &strips[i]);
      }
      const WeightsAhead ahead = Next<Source>(args, row, n * P, col);
      Product::template Tokens<P>(args, strips, n, col, blocks, ahead, args.out + row,
                                  args.out_stride);
    }
  }
  template <class Source>
  static Source At(const MatmulArgs& args, int64_t row, int64_t col) {
    const auto row_bytes = static_cast<int64_t>(args.row_bytes);
    return Source::At(args.weights + row * row_bytes, row_bytes, col);
  }
  // What is to be unpacked after this section of these panels.
  template <class Source>
  static WeightsAhead Next(const MatmulArgs& args, int64_t row, int panels, int64_t col) {
    col += kSectionCols;
    if (col >= args.n_cols) {
      col = 0;
      row += panels * kPanelRows;
      panels = static_cast<int>(Least(panels, (args.row_end - row) / kPanelRows));
    }
    return At<Source>(args, row, col).Ahead(panels, BlocksFrom(args, col));
  }
  // A tile's tokens; what lies behind the last row is not to be written.
  static void LastResults(const MatmulArgs& args, int64_t row, int rows, int64_t token,
                          const Strip<Format, 1>& strip, int64_t col, int blocks) {
    MatmulArgs part = args;
    part.n_tokens = Least(Product::kMostTokens, args.n_tokens - token);
    part.xq.q += token * args.n_cols;
    part.xq.scale += token * (args.n_cols / kQuantBlock);
    part.xq.sums += token * (args.n_cols / kSumBlock);
    alignas(64) float out[kPanelRows * Product::kMostTokens];
    float* results = args.out + token * args.out_stride + row;
    for (int64_t i = 0; i < part.n_tokens; ++i) {
      for (int r = 0; r < rows; ++r) out[i * kPanelRows + r] = results[i * args.out_stride + r];
    }
    Product::template Tokens<1>(part, &strip, 1, col, blocks, {}, out, kPanelRows);
    for (int64_t i = 0; i < part.n_tokens; ++i) {
      for (int r = 0; r < rows; ++r) results[i * args.out_stride + r] = out[i * kPanelRows + r];
    }
  }
};

}  // namespace llmrun::generic
