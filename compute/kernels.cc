#include "compute/kernels.h"

#include "compute/kernels/tables.h"

namespace llmrun {

const Kernels& KernelsFor(IsaLevel level) {
  switch (level) {
    case IsaLevel::kAvx512:
      return avx512::kKernels;
    case IsaLevel::kAvx2:
      return avx2::kKernels;
    case IsaLevel::kPortable:
      break;
  }
  return portable::kKernels;
}

bool UsesQuantizedActivations(DType type) {
  return type == DType::kQ8_0 || type == DType::kQ4_0 || type == DType::kQ4_K ||
         type == DType::kQ6_K;
}

bool HasMatmul(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 ||
         UsesQuantizedActivations(type);
}

}  // namespace llmrun
