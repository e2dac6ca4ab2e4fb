// Products of quantized weights with few tokens, which are as fast as memory. Each instruction set
// compiles them on their own, with options of their own (compute/CMakeLists.txt).
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/generic/formats.h"
#include "compute/kernels/generic/packed_matmul.h"
#include "compute/kernels/generic/row_matmul.h"

namespace llmrun::generic {

// args.weights: behind what stands before the first row. Either packed rows, as PackedMatmul takes
// them, or rows of a file, as RowMatmul does.
template <class Isa>
void FewTokens(const MatmulArgs& args) {
  WithFormat<Isa>(args.dtype, [&]<class Format, int kHeadBytes, bool kScalesRows>(
                                  OfType<Format, kHeadBytes, kScalesRows>) {
    if (args.row_begin < args.packed_rows) {
      PackedMatmul<Isa, Format>::Run(args);
    } else {
      RowMatmul<Isa, Format>::Run(args);
    }
    return true;
  });
}

}  // namespace llmrun::generic
