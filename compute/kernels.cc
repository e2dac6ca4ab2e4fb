#include "compute/kernels.h"

#include <algorithm>

#include "compute/kernels/generic/attention_rows.h"
#include "compute/kernels/tables.h"

namespace llmrun {
namespace {

constexpr DType kQuantized[] = {
    DType::kQ8_0,  DType::kQ4_0,  DType::kQ4_1,  DType::kQ5_0, DType::kQ5_1,   DType::kQ2_K,
    DType::kQ3_K,  DType::kQ4_K,  DType::kQ5_K,  DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS,
    DType::kTQ1_0, DType::kTQ2_0, DType::kMXFP4, DType::kI2_S, DType::kIQ2_BN};

constexpr DType kKvTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0};

}  // namespace

const Kernels& KernelsFor(IsaLevel level) {
  switch (level) {
    case IsaLevel::kAmxEmulated:
      return amx::EmulatedTable();
    case IsaLevel::kAmx:
      return amx::Table();
    case IsaLevel::kAvx512Bf16:
      return avx512bf16::Table();
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

bool CanLookUp(DType type) {
  return type == DType::kTQ2_0 || type == DType::kI2_S || type == DType::kIQ2_BN ||
         type == DType::kQ2_K;
}

bool HasMatmul(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 ||
         UsesQuantizedActivations(type);
}

int64_t MatmulColumns(DType type) {
  if (type == DType::kI2_S || type == DType::kIQ2_BN) return 256;
  return TraitsOf(type).block_elems;
}

bool IsKvType(DType type) { return std::ranges::find(kKvTypes, type) != std::end(kKvTypes); }

uint64_t KvRowBytes(DType type, int64_t head_dim) {
  const auto dim = static_cast<uint64_t>(head_dim);
  return RowBytes(type, (dim + kKvGroup - 1) / kKvGroup * kKvGroup);
}

int64_t AttentionSumsFloats(int64_t value_dim) {
  return generic::QuerySums<void>::Stride(value_dim);
}

int64_t AttentionScratchFloats(int64_t head_dim, int64_t value_dim) {
  return generic::AttentionScratch<void>::Floats(head_dim, value_dim);
}

}  // namespace llmrun
