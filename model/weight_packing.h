// How weights are packed while they are loaded: as compute/packing.h says.
#pragma once

#include "loader/row_packing.h"

namespace llmrun {

// All matrices that kernels read packed, but for one of which only single rows are read:
// embeddings, unless they are the output, too.
const RowPacking& WeightPacking();

}  // namespace llmrun
