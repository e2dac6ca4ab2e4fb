// The table of each instruction set, defined in the folder of that name.
#pragma once

#include "compute/kernels.h"

namespace llmrun::portable {
extern const Kernels kKernels;
}
namespace llmrun::avx2 {
extern const Kernels kKernels;
}
namespace llmrun::avxvnni {
extern const Kernels kKernels;
}
namespace llmrun::avx512 {
extern const Kernels kKernels;
}
namespace llmrun::avx512bf16 {
const Kernels& Table();
}
namespace llmrun::amx {
const Kernels& Table();
const Kernels& EmulatedTable();
}  // namespace llmrun::amx
