// The matrix product of an instruction set: what serves which type.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/generic/float_matmul.h"
#include "compute/kernels/generic/formats.h"
#include "compute/kernels/generic/packed_matmul.h"
#include "compute/kernels/generic/panel_matmul.h"
#include "compute/kernels/generic/row_matmul.h"

namespace llmrun::generic {

template <class Isa, class Element>
bool FloatProduct(const MatmulArgs& args) {
  FloatMatmul<Isa, Element>::Run(args);
  return true;
}

// kHeadBytes stand before each row.
template <class Isa, template <class> class Format, int kHeadBytes = 0>
bool QuantMatmul(const MatmulArgs& args) {
  if (args.n_cols % BlockOf<Format<Isa>>::kCols != 0) return false;
  MatmulArgs raw = args;
  raw.weights += kHeadBytes;
  if (args.row_begin < args.packed_rows) {
    MatmulArgs packed = args;
    packed.weights += kPanelRows * kHeadBytes;
    if (args.packed_rows < args.row_end) packed.row_end = args.packed_rows;
    PackedMatmul<Isa, Format<Isa>>::Run(packed);
    if (packed.row_end == args.row_end) return true;
    raw.row_begin = packed.row_end;
  }
  if (args.n_tokens == 1) {
    RowMatmul<Isa, Format<Isa>>::Run(raw);
  } else {
    PanelMatmul<Isa, Format<Isa>>::Run(raw);
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
template <class Isa, template <class> class Format, int kHeadBytes>
bool RowScaledMatmul(const MatmulArgs& args) {
  if (!QuantMatmul<Isa, Format, kHeadBytes>(args)) return false;
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
  return true;
}

template <class Isa>
bool Matmul(const MatmulArgs& args) {
  switch (args.dtype) {
    case DType::kF32:
      return FloatProduct<Isa, F32<Isa>>(args);
    case DType::kF16:
      return FloatProduct<Isa, F16<Isa>>(args);
    case DType::kBF16:
      return FloatProduct<Isa, Bf16<Isa>>(args);
    case DType::kQ8_0:
      return QuantMatmul<Isa, Q8_0>(args);
    case DType::kQ4_0:
      return QuantMatmul<Isa, Q4_0>(args);
    case DType::kQ4_1:
      return QuantMatmul<Isa, Q4_1>(args);
    case DType::kQ5_0:
      return QuantMatmul<Isa, Q5_0>(args);
    case DType::kQ5_1:
      return QuantMatmul<Isa, Q5_1>(args);
    case DType::kIQ4_NL:
      return QuantMatmul<Isa, IQ4_NL>(args);
    case DType::kMXFP4:
      return QuantMatmul<Isa, MXFP4>(args);
    case DType::kQ2_K:
      return QuantMatmul<Isa, Q2_K>(args);
    case DType::kQ3_K:
      return QuantMatmul<Isa, Q3_K>(args);
    case DType::kQ4_K:
      return QuantMatmul<Isa, Q4_K>(args);
    case DType::kQ5_K:
      return QuantMatmul<Isa, Q5_K>(args);
    case DType::kQ6_K:
      return QuantMatmul<Isa, Q6_K>(args);
    case DType::kIQ4_XS:
      return QuantMatmul<Isa, IQ4_XS>(args);
    case DType::kTQ1_0:
      return QuantMatmul<Isa, TQ1_0>(args);
    case DType::kTQ2_0:
      return QuantMatmul<Isa, TQ2_0>(args);
    case DType::kIQ2_BN:
      return RowScaledMatmul<Isa, IQ2_BN, 4>(args);
    case DType::kI2_S:
      return RowScaledMatmul<Isa, I2_S, 0>(args);
    default:
      return false;
  }
}

}  // namespace llmrun::generic
