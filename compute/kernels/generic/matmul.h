// The matrix product of an instruction set: what serves which type.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/generic/float_matmul.h"
#include "compute/kernels/generic/formats.h"
#include "compute/kernels/generic/packed_matmul.h"
#include "compute/kernels/generic/panel_matmul.h"
#include "compute/kernels/tables.h"

namespace llmrun::generic {

template <class Isa, template <class> class Element>
bool FloatProduct(const MatmulArgs& args) {
  FloatMatmul<Isa, Element>::Run(args);
  return true;
}

// Whole panels of packed rows, and rows at both ends that are not.
template <class Isa, class Format>
void PackedProduct(const MatmulArgs& args) {
  const int64_t whole_end = args.row_end / kPanelRows * kPanelRows;
  MatmulArgs part = args;
  for (; part.row_begin < args.row_end; part.row_begin = part.row_end) {
    const int64_t in_panel = part.row_begin % kPanelRows;
    if (in_panel == 0 && part.row_begin < whole_end) {
      part.row_end = whole_end;
      if (args.n_tokens > PackedMatmul<Isa, Format>::kMostTokens) {
        PanelMatmul<Isa, Format>::template WholePanels<PackedPanels<Isa, Format>>(part);
        continue;
      }
    } else {
      const int64_t end = part.row_begin - in_panel + kPanelRows;
      part.row_end = end < args.row_end ? end : args.row_end;
    }
    Isa::FewTokens(part);
  }
}

// Rows as they are in a file.
template <class Isa, class Format>
void RawProduct(const MatmulArgs& args) {
  if (args.n_tokens > 1) return PanelMatmul<Isa, Format>::Run(args);
  MatmulArgs part = args;
  part.row_end -= (args.row_end - args.row_begin) % kPanelRows;
  if (part.row_begin < part.row_end) Isa::FewTokens(part);
  if (part.row_end < args.row_end) PanelMatmul<Isa, Format>::LastRows(args, part.row_end);
}

// kHeadBytes stand before each row.
template <class Isa, class Format, int kHeadBytes>
bool QuantMatmul(const MatmulArgs& args) {
  if (args.n_cols % BlockOf<Format>::kCols != 0) return false;
  MatmulArgs raw = args;
  raw.weights += kHeadBytes;
  if (args.row_begin < args.packed_rows) {
    MatmulArgs packed = args;
    packed.weights += kPanelRows * kHeadBytes;
    if (args.packed_rows < args.row_end) packed.row_end = args.packed_rows;
    PackedProduct<Isa, Format>(packed);
    raw.row_begin = packed.row_end;
  }
  if (raw.row_begin < raw.row_end) RawProduct<Isa, Format>(raw);
  return true;
}

template <class Isa, int kHeadBytes>
float RowScale(const MatmulArgs& args, int64_t row) {
  if constexpr (kHeadBytes == 0) return args.tensor_scale;
  const int64_t in_panel = row < args.packed_rows ? row % kPanelRows : 0;
  float scale;
  __builtin_memcpy(&scale,
                   args.weights + (row - in_panel) * static_cast<int64_t>(args.row_bytes) +
                       in_panel * kHeadBytes,
                   sizeof scale);
  return scale;
}

// One scale multiplies the results of each row: it stands before the row, or is args.tensor_scale.
template <class Isa, int kHeadBytes>
void ScaleRows(const MatmulArgs& args) {
  constexpr int64_t kRun = 64;
  for (int64_t row = args.row_begin; row < args.row_end; row += kRun) {
    const int64_t n = row + kRun < args.row_end ? kRun : args.row_end - row;
    float scales[kRun];
    for (int64_t i = 0; i < n; ++i) scales[i] = RowScale<Isa, kHeadBytes>(args, row + i);
    for (int64_t t = 0; t < args.n_tokens; ++t) {
      float* out = args.out + t * args.out_stride + row;
      for (int64_t i = 0; i < n; ++i) out[i] *= scales[i];
    }
  }
}

template <class Isa>
bool Matmul(const MatmulArgs& args) {
  if constexpr (!Isa::kHasTables) {
    if (args.n_tokens == 1 && args.xq.tables != nullptr) return avx2::kKernels.matmul(args);
  }
  switch (args.dtype) {
    case DType::kF32:
      return FloatProduct<Isa, F32>(args);
    case DType::kF16:
      return FloatProduct<Isa, F16>(args);
    case DType::kBF16:
      return FloatProduct<Isa, Bf16>(args);
    default:
      return WithFormat<Isa>(args.dtype, [&]<class Format, int kHeadBytes, bool kScalesRows>(
                                             OfType<Format, kHeadBytes, kScalesRows>) {
        if (!QuantMatmul<Isa, Format, kHeadBytes>(args)) return false;
        if constexpr (kScalesRows) ScaleRows<Isa, kHeadBytes>(args);
        return true;
      });
  }
}

}  // namespace llmrun::generic
