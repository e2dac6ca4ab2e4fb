#include "compute/codec.h"

#include <algorithm>
#include <iterator>

#include "compute/codec_decoders.h"

namespace llmrun {
namespace {

struct Codec {
  DType type;
  void (*decode)(const std::byte* block, float* out);
};

constexpr Codec kCodecs[] = {
    {DType::kF32, codec::DecodeF32},      {DType::kF16, codec::DecodeF16},
    {DType::kBF16, codec::DecodeBf16},    {DType::kQ4_0, codec::DecodeQ4_0},
    {DType::kQ4_1, codec::DecodeQ4_1},    {DType::kQ5_0, codec::DecodeQ5_0},
    {DType::kQ5_1, codec::DecodeQ5_1},    {DType::kQ8_0, codec::DecodeQ8_0},
    {DType::kQ2_K, codec::DecodeQ2_K},    {DType::kQ3_K, codec::DecodeQ3_K},
    {DType::kQ4_K, codec::DecodeQ4_K},    {DType::kQ5_K, codec::DecodeQ5_K},
    {DType::kQ6_K, codec::DecodeQ6_K},    {DType::kIQ4_NL, codec::DecodeIq4Nl},
    {DType::kIQ4_XS, codec::DecodeIq4Xs}, {DType::kTQ1_0, codec::DecodeTq1_0},
    {DType::kTQ2_0, codec::DecodeTq2_0},  {DType::kMXFP4, codec::DecodeMxfp4},
    {DType::kIQ2_BN, codec::DecodeIq2Bn}, {DType::kI2_S, codec::DecodeI2S},
};

const Codec* FindCodec(DType type) {
  const auto* it = std::ranges::find(kCodecs, type, &Codec::type);
  return it == std::end(kCodecs) ? nullptr : it;
}

}  // namespace

bool HasCodec(DType type) { return FindCodec(type) != nullptr; }

Status DequantizeRow(DType type, const std::byte* row, int64_t n, float* out, float tensor_scale) {
  const Codec* const codec = FindCodec(type);
  const BlockTraits& traits = TraitsOf(type);
  if (codec == nullptr) {
    return MakeError(ErrorCode::kUnavailable, "values of type {} cannot be decoded", traits.name);
  }
  const auto elems = static_cast<int64_t>(traits.block_elems);
  if (n < 0 || n % elems != 0) {
    return MakeError(ErrorCode::kBadData, "row length {} is not a multiple of the {} block of {}",
                     n, traits.name, elems);
  }
  const std::byte* block = row + traits.row_head_bytes;
  for (int64_t i = 0; i < n; i += elems, block += traits.block_bytes) {
    codec->decode(block, out + i);
  }
  // IQ2_BN: a float32, the scale of all values
  const float scale = traits.row_head_bytes != 0 ? codec::ReadAs<float>(row) : tensor_scale;
  for (int64_t i = 0; scale != 1 && i < n; ++i) out[i] *= scale;
  return {};
}

float TensorScale(DType type, const std::byte* end_of_rows) {
  return type == DType::kI2_S ? codec::ReadAs<float>(end_of_rows) : 1;
}

}  // namespace llmrun
