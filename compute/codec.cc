#include "compute/codec.h"

#include <cstring>

#include "compute/half.h"

namespace llmrun {
namespace {

// Decodes one block at `block` into TraitsOf(type).block_elems floats.
using DecodeBlock = void (*)(const std::byte* block, float* out);

template <typename T>
T ReadAs(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float HalfAt(const std::byte* at) { return HalfToFloat(ReadAs<uint16_t>(at)); }
int ByteAt(const std::byte* at) { return std::to_integer<int>(*at); }

void DecodeF32(const std::byte* block, float* out) { *out = ReadAs<float>(block); }
void DecodeF16(const std::byte* block, float* out) { *out = HalfAt(block); }
void DecodeBf16(const std::byte* block, float* out) {
  *out = Bfloat16ToFloat(ReadAs<uint16_t>(block));
}

// f16 d; int8 q[32]
void DecodeQ8_0(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(ReadAs<int8_t>(block + 2 + i));
}

// f16 d; 16 bytes: low nibbles are values 0..15, high nibbles 16..31; offset 8
void DecodeQ4_0(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  for (int i = 0; i < 16; ++i) {
    const int byte = ByteAt(block + 2 + i);
    out[i] = d * static_cast<float>((byte & 15) - 8);
    out[i + 16] = d * static_cast<float>((byte >> 4) - 8);
  }
}

// The 6-bit scale and minimum of sub-block j (of 8) in the 12 bytes of a Q4_K block.
void SixBitPair(const std::byte* packed, int j, int* scale, int* min) {
  if (j < 4) {
    *scale = ByteAt(packed + j) & 63;
    *min = ByteAt(packed + j + 4) & 63;
  } else {
    const int low = ByteAt(packed + j + 4);
    *scale = (low & 15) | (ByteAt(packed + j - 4) >> 6) << 4;
    *min = (low >> 4) | (ByteAt(packed + j) >> 6) << 4;
  }
}

// f16 d, dmin; 12 bytes of scales; 128 bytes: each 32 hold two sub-blocks, low nibbles first
void DecodeQ4_K(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  const float dmin = HalfAt(block + 2);
  for (int j = 0; j < 8; ++j) {
    int scale = 0;
    int min = 0;
    SixBitPair(block + 4, j, &scale, &min);
    const float step = d * static_cast<float>(scale);
    const float offset = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) {
      const int byte = ByteAt(block + 16 + j / 2 * 32 + i);
      out[j * 32 + i] = step * static_cast<float>(j % 2 == 0 ? byte & 15 : byte >> 4) - offset;
    }
  }
}

// ql[128], qh[64], int8 scales[16], f16 d. Each half of 128 values takes 64 bytes of ql (low
// nibbles: values 0..63, high nibbles: 64..127) and 32 of qh (two bits for every 32 values).
void DecodeQ6_K(const std::byte* block, float* out) {
  const float d = HalfAt(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128;
    const int in_half = i % 128;
    const int low = ByteAt(block + half * 64 + in_half % 64) >> (in_half / 64 * 4) & 15;
    const int high = ByteAt(block + 128 + half * 32 + in_half % 32) >> (in_half / 32 * 2) & 3;
    const float step = d * static_cast<float>(ReadAs<int8_t>(block + 192 + i / 16));
    out[i] = step * static_cast<float>((low | high << 4) - 32);
  }
}

DecodeBlock FindDecoder(DType type) {
  switch (type) {
    case DType::kF32:
      return DecodeF32;
    case DType::kF16:
      return DecodeF16;
    case DType::kBF16:
      return DecodeBf16;
    case DType::kQ8_0:
      return DecodeQ8_0;
    case DType::kQ4_0:
      return DecodeQ4_0;
    case DType::kQ4_K:
      return DecodeQ4_K;
    case DType::kQ6_K:
      return DecodeQ6_K;
    default:
      return nullptr;
  }
}

}  // namespace

bool HasCodec(DType type) { return FindDecoder(type) != nullptr; }

Status DequantizeRow(DType type, const std::byte* row, int64_t n, float* out) {
  const DecodeBlock decode = FindDecoder(type);
  const BlockTraits& traits = TraitsOf(type);
  if (decode == nullptr) {
    return MakeError(ErrorCode::kUnavailable, "values of type {} cannot be decoded", traits.name);
  }
  const auto elems = static_cast<int64_t>(traits.block_elems);
  if (n < 0 || n % elems != 0) {
    return MakeError(ErrorCode::kBadData, "row length {} is not a multiple of the {} block of {}",
                     n, traits.name, elems);
  }
  for (int64_t i = 0; i < n; i += elems, row += traits.block_bytes) decode(row, out + i);
  return {};
}

}  // namespace llmrun
