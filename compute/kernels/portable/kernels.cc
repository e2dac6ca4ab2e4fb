// This folder's instruction set applied to every kernel.
#include "compute/kernels.h"

#include "compute/kernels/generic/table.h"
#include "compute/kernels/portable/isa.h"
#include "compute/kernels/tables.h"

namespace llmrun::portable {

constinit const Kernels kKernels = generic::TableOf<Isa>(IsaLevel::kPortable);

}  // namespace llmrun::portable
