#include "compute/kernels.h"

#include <algorithm>

#include "compute/kernels/tables.h"

namespace llmrun {
namespace {

constexpr DType kQuantized[] = {
    DType::kQ8_0,  DType::kQ4_0,  DType::kQ4_1,  DType::kQ5_0, DType::kQ5_1,   DType::kQ2_K,
    DType::kQ3_K,  DType::kQ4_K,  DType::kQ5_K,  DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS,
    DType::kTQ1_0, DType::kTQ2_0, DType::kMXFP4, DType::kI2_S, DType::kIQ2_BN};

}  // namespace

const Kernels& KernelsFor(IsaLevel level) {
  switch (level) {
    case IsaLevel::kAvx512:
      return avx512::kKernels;
    case IsaLevel::kAvxVnni:
      return avxvnni::kKernels;
    case IsaLevel::kAvx2:
      return avx2::kKernels;
    case IsaLevel::kPortable:
      break;
  }
  return portable::kKernels;
}

bool UsesQuantizedActivations(DType type) {
  return std::ranges::find(kQuantized, type) != std::end(kQuantized);
}

bool HasMatmul(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 ||
         UsesQuantizedActivations(type);
}

int64_t MatmulColumns(DType type) {
  if (type == DType::kI2_S || type == DType::kIQ2_BN) return 256;
  return TraitsOf(type).block_elems;
}

}  // namespace llmrun
