// The element types of tensors and the arithmetic of their sizes. Ids are those of the GGUF
// specification (ggml type ids), plus I2_S (36, the 1-bit model releases) and IQ2_BN (135). Types
// that safetensors has and GGUF has not begin at kFirstForeignId: numbers of our own, in no file.
//
// A tensor's row (dimension 0) is cut into blocks of `block_elems` elements, `block_bytes` each.
// IQ2_BN rows begin with `row_head_bytes` of row scale; I2_S tensors end with `tensor_tail_bytes`
// of tensor scale and padding.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"

namespace llmrun {

inline constexpr uint32_t kFirstForeignId = 1U << 16;

enum class DType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ8_1 = 9,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kQ8_K = 15,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kI2_S = 36,
  kMXFP4 = 39,
  kIQ2_BN = 135,
  kBool = kFirstForeignId,
  kU8,
  kF8_E4M3,
  kF8_E5M2,
  kF8_E8M0,
  kU16,
  kU32,
  kU64,
  kC64,
};

struct BlockTraits {
  DType type;
  std::string_view name;  // "Q4_K"
  uint32_t block_elems;
  uint32_t block_bytes;
  uint32_t row_head_bytes = 0;
  uint32_t tensor_tail_bytes = 0;
};

inline constexpr int kMaxDims = 4;
// Sizes of a tensor, dimension 0 first (the contiguous one); unused dimensions are 1.
using Dims = std::array<uint64_t, kMaxDims>;

// Every known type, in ascending id.
std::span<const BlockTraits> AllBlockTraits();
// The traits of a raw id from a GGUF file; nullptr when GGUF has no such type.
const BlockTraits* FindBlockTraits(uint32_t raw_id);
// The type of a name in any letter case ("q4_k"); nullopt when unknown.
std::optional<DType> ParseDType(std::string_view name);
// Requires: `type` is one of the enumerators.
const BlockTraits& TraitsOf(DType type);
inline std::string_view NameOf(DType type) { return TraitsOf(type).name; }

// Bytes of one row of `row_elems` elements. Requires: a multiple of block_elems, below 2^48.
uint64_t RowBytes(DType type, uint64_t row_elems);
// Bytes of a whole tensor. Errors (kBadData, without file or tensor name, which the caller adds):
// a zero dimension, a row that is not a multiple of the block, a product that overflows 63 bits.
Result<uint64_t> TensorBytes(DType type, const Dims& dims);

}  // namespace llmrun
