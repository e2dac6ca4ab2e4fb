// This folder's instruction set applied to every kernel.
#include "compute/kernels.h"

#include "compute/kernels/avxvnni/isa.h"
#include "compute/kernels/generic/table.h"
#include "compute/kernels/tables.h"

namespace llmrun::avxvnni {

constinit const Kernels kKernels = generic::TableOf<Isa>(IsaLevel::kAvxVnni);

}  // namespace llmrun::avxvnni
