// The matrix product of an instruction set: what serves which type.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/generic/float_tile.h"
#include "compute/kernels/generic/formats.h"
#include "compute/kernels/generic/panel_matmul.h"
#include "compute/kernels/generic/row_matmul.h"
#include "compute/kernels/generic/tile_cut.h"
#include "compute/kernels/tiles.h"

namespace llmrun::generic {

template <class Isa, class Element>
bool FloatMatmul(const MatmulArgs& args) {
  RunTiles(args, CutTile<Isa, FloatTiles<Isa, Element>>);
  return true;
}

template <class Isa, template <class> class Format>
bool QuantMatmul(const MatmulArgs& args) {
  if (args.n_cols % BlockOf<Format<Isa>>::kCols != 0) return false;
  if (args.n_tokens == 1) {
    RowMatmul<Isa, Format<Isa>>::Run(args);
  } else {
    PanelMatmul<Isa, Format<Isa>>::Run(args);
  }
  return true;
}

// One scale multiplies the results of each row: it stands before the row, or is args.tensor_scale.
template <class Isa, template <class> class Format, int kHeadBytes>
bool RowScaledMatmul(const MatmulArgs& args) {
  MatmulArgs sums = args;
  sums.weights += kHeadBytes;
  if (!QuantMatmul<Isa, Format>(sums)) return false;
  for (int64_t row = args.row_begin; row < args.row_end; ++row) {
    float scale = args.tensor_scale;
    if constexpr (kHeadBytes != 0) {
      __builtin_memcpy(&scale, args.weights + static_cast<uint64_t>(row) * args.row_bytes,
                       sizeof scale);
    }
    for (int64_t t = 0; t < args.n_tokens; ++t) args.out[t * args.out_stride + row] *= scale;
  }
  return true;
}

template <class Isa>
bool Matmul(const MatmulArgs& args) {
  switch (args.dtype) {
    case DType::kF32:
      return FloatMatmul<Isa, F32<Isa>>(args);
    case DType::kF16:
      return FloatMatmul<Isa, F16<Isa>>(args);
    case DType::kBF16:
      return FloatMatmul<Isa, Bf16<Isa>>(args);
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
