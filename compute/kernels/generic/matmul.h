// The matrix product of an instruction set: what serves which type.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/generic/float_matmul.h"
#include "compute/kernels/generic/formats.h"
#include "compute/kernels/generic/packed_matmul.h"
#include "compute/kernels/generic/panel_matmul.h"
#include "compute/kernels/generic/row_matmul.h"
#include "compute/kernels/tables.h"

namespace llmrun::generic {

template <class Isa, class Element>
bool FloatProduct(const MatmulArgs& args) {
  FloatMatmul<Isa, Element>::Run(args);
  return true;
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
    PackedMatmul<Isa, Format>::Run(packed);
    if (packed.row_end == args.row_end) return true;
    raw.row_begin = packed.row_end;
  }
  if (args.n_tokens == 1) {
    RowMatmul<Isa, Format>::Run(raw);
  } else {
    PanelMatmul<Isa, Format>::Run(raw);
  }
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
      return FloatProduct<Isa, F32<Isa>>(args);
    case DType::kF16:
      return FloatProduct<Isa, F16<Isa>>(args);
    case DType::kBF16:
      return FloatProduct<Isa, Bf16<Isa>>(args);
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
