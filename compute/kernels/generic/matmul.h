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
    default:
      return false;
  }
}

}  // namespace llmrun::generic
