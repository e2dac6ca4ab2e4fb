// This folder's instruction set applied to every kernel.
#include "compute/kernels.h"

#include "compute/kernels/avx512/isa.h"
#include "compute/kernels/generic/table.h"
#include "compute/kernels/tables.h"

namespace llmrun::avx512 {

constinit const Kernels kKernels = generic::TableOf<Isa>(IsaLevel::kAvx512);

}  // namespace llmrun::avx512
