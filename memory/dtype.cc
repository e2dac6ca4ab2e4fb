#include "memory/dtype.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/checked.h"

namespace llmrun {
namespace {

constexpr BlockTraits kTraits[] = {
    {DType::kF32, "F32", 1, 4},
    {DType::kF16, "F16", 1, 2},
    {DType::kQ4_0, "Q4_0", 32, 18},
    {DType::kQ4_1, "Q4_1", 32, 20},
    {DType::kQ5_0, "Q5_0", 32, 22},
    {DType::kQ5_1, "Q5_1", 32, 24},
    {DType::kQ8_0, "Q8_0", 32, 34},
    {DType::kQ8_1, "Q8_1", 32, 36},
    {DType::kQ2_K, "Q2_K", 256, 84},
    {DType::kQ3_K, "Q3_K", 256, 110},
    {DType::kQ4_K, "Q4_K", 256, 144},
    {DType::kQ5_K, "Q5_K", 256, 176},
    {DType::kQ6_K, "Q6_K", 256, 210},
    {DType::kQ8_K, "Q8_K", 256, 292},
    {DType::kIQ2_XXS, "IQ2_XXS", 256, 66},
    {DType::kIQ2_XS, "IQ2_XS", 256, 74},
    {DType::kIQ3_XXS, "IQ3_XXS", 256, 98},
    {DType::kIQ1_S, "IQ1_S", 256, 50},
    {DType::kIQ4_NL, "IQ4_NL", 32, 18},
    {DType::kIQ3_S, "IQ3_S", 256, 110},
    {DType::kIQ2_S, "IQ2_S", 256, 82},
    {DType::kIQ4_XS, "IQ4_XS", 256, 136},
    {DType::kI8, "I8", 1, 1},
    {DType::kI16, "I16", 1, 2},
    {DType::kI32, "I32", 1, 4},
    {DType::kI64, "I64", 1, 8},
    {DType::kF64, "F64", 1, 8},
    {DType::kIQ1_M, "IQ1_M", 256, 56},
    {DType::kBF16, "BF16", 1, 2},
    {DType::kTQ1_0, "TQ1_0", 256, 54},
    {DType::kTQ2_0, "TQ2_0", 256, 66},
    {DType::kI2_S, "I2_S", 128, 32, 0, 32},
    {DType::kMXFP4, "MXFP4", 32, 17},
    {DType::kIQ2_BN, "IQ2_BN", 64, 16, 4, 0},
    {DType::kBool, "BOOL", 1, 1},
    {DType::kU8, "U8", 1, 1},
    {DType::kF8_E4M3, "F8_E4M3", 1, 1},
    {DType::kF8_E5M2, "F8_E5M2", 1, 1},
    {DType::kF8_E8M0, "F8_E8M0", 1, 1},
    {DType::kU16, "U16", 1, 2},
    {DType::kU32, "U32", 1, 4},
    {DType::kU64, "U64", 1, 8},
    {DType::kC64, "C64", 1, 8},
};

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

std::span<const BlockTraits> AllBlockTraits() { return kTraits; }

const BlockTraits* FindBlockTraits(uint32_t raw_id) {
  if (raw_id >= kFirstForeignId) return nullptr;
  const auto* it = std::ranges::find(kTraits, DType{raw_id}, &BlockTraits::type);
  return it == std::end(kTraits) ? nullptr : it;
}

std::optional<DType> ParseDType(std::string_view name) {
  for (const BlockTraits& t : kTraits) {
    if (std::ranges::equal(name, t.name, {}, Upper, Upper)) return t.type;
  }
  return std::nullopt;
}

const BlockTraits& TraitsOf(DType type) {
  const auto* it = std::ranges::find(kTraits, type, &BlockTraits::type);
  CHECK(it != std::end(kTraits));
  return *it;
}

uint64_t RowBytes(DType type, uint64_t row_elems) {
  const BlockTraits& t = TraitsOf(type);
  CHECK(row_elems % t.block_elems == 0);
  return t.row_head_bytes + row_elems / t.block_elems * t.block_bytes;
}

Result<uint64_t> TensorBytes(DType type, const Dims& dims) {
  const BlockTraits& t = TraitsOf(type);
  for (int i = 0; i < kMaxDims; ++i) {
    if (dims[i] == 0) return MakeError(ErrorCode::kBadData, "dimension {} is 0", i);
  }
  if (dims[0] % t.block_elems != 0) {
    return MakeError(ErrorCode::kBadData, "row length {} is not a multiple of the {} block of {}",
                     dims[0], t.name, t.block_elems);
  }
  uint64_t elems = 1;
  uint64_t rows = 1;
  uint64_t bytes = 0;
  bool ok = true;
  for (int i = 0; i < kMaxDims; ++i) ok = ok && CheckedMul(elems, dims[i], &elems);
  for (int i = 1; i < kMaxDims; ++i) ok = ok && CheckedMul(rows, dims[i], &rows);
  ok = ok && CheckedMul(dims[0] / t.block_elems, t.block_bytes, &bytes) &&
       CheckedAdd(bytes, t.row_head_bytes, &bytes) && CheckedMul(bytes, rows, &bytes) &&
       CheckedAdd(bytes, t.tensor_tail_bytes, &bytes);
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  if (!ok || elems > kMax || bytes > kMax) {
    return MakeError(ErrorCode::kBadData, "size of {} x {} x {} x {} elements of {} overflows",
                     dims[0], dims[1], dims[2], dims[3], t.name);
  }
  return bytes;
}

}  // namespace llmrun
