// This folder's instruction set applied to every kernel.
#include "compute/kernels.h"

#include "compute/kernels/avx2/isa.h"
#include "compute/kernels/generic/table.h"
#include "compute/kernels/tables.h"

namespace llmrun::avx2 {

constinit const Kernels kKernels = generic::TableOf<Isa>(IsaLevel::kAvx2);

}  // namespace llmrun::avx2
