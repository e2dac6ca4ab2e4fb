// The product of quantized weights with one token, which is as fast as memory if the weights are
// read in one stream: row by row. The classes of 16 rows (generic/panel_tile.h) are added up at
// their end.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/row_sums.h"
#include "compute/kernels/generic/row_token.h"

namespace llmrun::generic {

template <class Isa, class Format>
struct RowMatmul {
  using F = typename Isa::F;
  using Token = RowToken<Isa, Format>;
  using Batch = RowBatch<Format>;
  static constexpr int kBatchBytes = Batch::kBlocks * Format::kBytes;
  static constexpr int kAheadBytes = 16384;

  // A multiple of 16 rows, one token.
  static void Run(const MatmulArgs& args) {
    constexpr int64_t kCols = kRowSections * kSectionCols;
    Token token;
    for (int64_t col = 0; col < args.n_cols; col += kCols) {
      const int64_t rest = args.n_cols - col;
      token.Prepare(args.xq, col, static_cast<int>(rest < kCols ? rest : kCols));
      for (int64_t row = args.row_begin; row < args.row_end; row += kPanelRows) {
        SixteenRows(args, row, col, token);
      }
    }
  }

 private:
  static void SixteenRows(const MatmulArgs& args, int64_t row, int64_t col, const Token& token) {
    const auto stride = static_cast<int64_t>(args.row_bytes);
    const std::byte* w = args.weights + row * stride + col / Batch::kCols * Format::kBytes;
    alignas(64) float classes[kRowSections][kPanelRows][kLanes];
    for (int r = 0; r < kPanelRows; ++r) {
      for (int s = 0; s * Batch::kInSection < token.batches; ++s) {
        Isa::Store(classes[s][r], Section(w + r * stride, token, s));
      }
    }
    float* out = args.out + row;
    F sum = col == 0 ? Isa::Zero() : Isa::Load(out);
    for (int s = 0; s * Batch::kInSection < token.batches; ++s) sum = AddClasses(classes[s], sum);
    Isa::Store(out, sum);
  }
  // Classes of one section of a row.
  LLMRUN_INLINE static F Section(const std::byte* w, const Token& token, int section) {
    F acc = Isa::Zero();
    int batch = section * Batch::kInSection;
    const int whole = token.cols / Batch::kAllCols;
    const int end = batch + Batch::kInSection < whole ? batch + Batch::kInSection : whole;
    for (; batch < end; ++batch) {
      const std::byte* at = w + batch * kBatchBytes;
      acc = RowSums<Isa, Format>::Add(at, at + kAheadBytes, token, batch, acc);
    }
    if (batch == whole && batch < token.batches && batch < (section + 1) * Batch::kInSection) {
      std::byte last[kBatchBytes] = {};
      const int bytes = token.cols % Batch::kAllCols / Batch::kCols * Format::kBytes;
      __builtin_memcpy(last, w + batch * kBatchBytes, static_cast<size_t>(bytes));
      acc =
          RowSums<Isa, Format>::Add(last, w + batch * kBatchBytes + kAheadBytes, token, batch, acc);
    }
    return acc;
  }
  static F AddClasses(const float (&classes)[kPanelRows][kLanes], F sum) {
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) {
      typename Isa::B four[4];
      Isa::Transpose(reinterpret_cast<const std::byte*>(&classes[0][4 * i]), sizeof classes[0],
                     four);
      LLMRUN_UNROLL for (int j = 0; j < (Format::kSuper ? 1 : 4); ++j) {
        sum = Isa::Add(sum, Isa::AsFloats(four[j]));
      }
    }
    return sum;
  }
};

}  // namespace llmrun::generic
