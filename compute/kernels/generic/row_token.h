// One token's activations, as products row by row read them: in batches of columns, in each of
// which the pieces of 16 columns lie beside each other that generic/pieces.h's FourBlocks finds in
// four blocks of weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"

namespace llmrun::generic {

inline constexpr int kPieceCols = 16;
// Sections of a row that are worked on before the next row; longer ones come in several passes.
inline constexpr int kRowSections = 4;

// A batch: of blocks 16, the i-th unit of four being 4i..4i+3; of superblocks four. Behind the end
// of a row it has zeros.
template <class Format>
struct RowBatch {
  static constexpr int kCols = BlockOf<Format>::kCols;  // of a block of memory
  static constexpr int kBlocks = BlockOf<Format>::kClasses;
  static constexpr int kUnits = kBlocks / 4;
  static constexpr int kAllCols = kBlocks * kCols;
  static constexpr int kPieces = kCols / kPieceCols;  // of a unit
  static constexpr int kSubs = kAllCols / Format::kSubCols;
  static constexpr int kQuantBlocks = kAllCols / kQuantBlock;
  static constexpr int kInSection = kSectionCols / kAllCols;
};

template <class Isa, class Format>
struct RowToken {
  using Batch = RowBatch<Format>;
  static constexpr bool kHasStart = Isa::template HasStart<Format::kOffset>();
  static constexpr int kBatches = kRowSections * Batch::kInSection;
  // Block b of superblock s: [b][s][4 times]; blocks: as they are.
  static constexpr int kFactors = Batch::kQuantBlocks * (Format::kSuper ? 4 : 1);
  static constexpr int kSumFactors = kFactors * kQuantBlock / Format::kSubCols;

  int cols;
  int batches;
  alignas(64) int8_t q[kBatches][Batch::kUnits][Batch::kPieces][4][kPieceCols];
  // -offset x sum, in the order of the sums of a batch.
  alignas(64) int32_t start[kHasStart ? kBatches : 1][Batch::kSubs];
  alignas(64) float scale[kBatches][kFactors];
  // Of the columns of a minimum, scale x sum.
  alignas(64) float sum[Format::kHasMin ? kBatches : 1][kSumFactors];

  void Prepare(const QuantizedRows& x, int64_t begin, int n) {
    cols = n;
    batches = (n + Batch::kAllCols - 1) / Batch::kAllCols;
    for (int i = 0; i < batches; ++i) {
      for (int block = 0; block < Batch::kBlocks; ++block) {
        const int col = i * Batch::kAllCols + block * Batch::kCols;
        const bool inside = col < n;
        const int64_t at = begin + (inside ? col : 0);
        PutQuants(i, block, inside, x.q + at);
        if constexpr (kHasStart) PutStart(i, block, inside, x.sums + at / kSumBlock);
        for (int b = 0; b < Batch::kCols / kQuantBlock; ++b) {
          PutFactors(i, block, b, inside, x.scale[at / kQuantBlock + b],
                     x.sums + at / kSumBlock + 2 * b);
        }
      }
    }
  }

 private:
  void PutQuants(int batch, int block, bool inside, const int8_t* from) {
    for (int p = 0; p < Batch::kPieces; ++p) {
      int8_t* to = q[batch][block / 4][p][block % 4];
      if (inside) {
        __builtin_memcpy(to, from + p * kPieceCols, kPieceCols);
      } else {
        __builtin_memset(to, 0, kPieceCols);
      }
    }
  }
  // Where SumOfFours brings them: lane 4 x block of the unit + number of the sum or of the unit.
  void PutStart(int batch, int block, bool inside, const int16_t* sums) {
    constexpr int kSums = Format::kSubCols / kSumBlock;
    for (int s = 0; s < Batch::kSubs / Batch::kBlocks; ++s) {
      int all = 0;
      for (int i = 0; inside && i < kSums; ++i) all += sums[s * kSums + i];
      const int at =
          Format::kSuper ? s / 4 * kPanelRows + block * 4 + s % 4 : block % 4 * 4 + block / 4;
      start[batch][at] = -Format::kOffset * all;
    }
  }
  void PutFactors(int batch, int block, int b, bool inside, float x_scale, const int16_t* sums) {
    constexpr int kParts = kQuantBlock / Format::kSubCols;
    const float value = inside ? x_scale : 0;
    Put(scale[batch], block, b, value);
    if constexpr (Format::kHasMin) {
      for (int i = 0; i < kParts; ++i) {
        const int all = kParts == 1 ? sums[0] + sums[1] : sums[i];
        Put(sum[batch], block, b * kParts + i, inside ? value * static_cast<float>(all) : 0);
      }
    }
  }
  static void Put(float* factors, int block, int number, float value) {
    if constexpr (Format::kSuper) {
      for (int i = 0; i < 4; ++i) factors[number * kPanelRows + block * 4 + i] = value;
    } else {
      factors[block] = value;
    }
  }
};

}  // namespace llmrun::generic
