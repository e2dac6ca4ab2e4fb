#include <cmath>

#include "compute/codec_decoders.h"

namespace llmrun::codec {

void DecodeF32(const std::byte* block, float* out) { *out = ReadAs<float>(block); }
void DecodeF16(const std::byte* block, float* out) { *out = HalfAt(block); }
void DecodeBf16(const std::byte* block, float* out) {
  *out = Bfloat16ToFloat(ReadAs<uint16_t>(block));
}

// f16 d; 16 bytes of nibbles; offset 8
void DecodeQ4_0(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(NibbleAt(block + 2, i) - 8);
}

// f16 d, m; 16 bytes of nibbles
void DecodeQ4_1(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  const float m = HalfAt(block + 2);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(NibbleAt(block + 4, i)) + m;
}

// f16 d; 32 bits, the fifth of every value; 16 bytes of nibbles; offset 16
void DecodeQ5_0(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  const auto fifth = ReadAs<uint32_t>(block + 2);
  for (int i = 0; i < 32; ++i) {
    const int high = static_cast<int>(fifth >> i & 1) << 4;
    out[i] = d * static_cast<float>((NibbleAt(block + 6, i) | high) - 16);
  }
}

// f16 d, m; 32 bits, the fifth of every value; 16 bytes of nibbles
void DecodeQ5_1(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  const float m = HalfAt(block + 2);
  const auto fifth = ReadAs<uint32_t>(block + 4);
  for (int i = 0; i < 32; ++i) {
    const int high = static_cast<int>(fifth >> i & 1) << 4;
    out[i] = d * static_cast<float>(NibbleAt(block + 8, i) | high) + m;
  }
}

// f16 d; int8 q[32]
void DecodeQ8_0(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(ReadAs<int8_t>(block + 2 + i));
}

// f16 d; 16 bytes of nibbles
void DecodeIq4Nl(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  for (int i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(kIq4Values[NibbleAt(block + 2, i)]);
  }
}

// Exponent e; 16 bytes of nibbles, which stand for 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives
// times 2^(e - 127): here twice as much times 2^(e - 128), which is denormal for e < 2, and exact.
// No e is a NaN. Values of 2^128 or more become infinite: those from 1, 2 and 4 upwards with e =
// 255, 254 and 253.
void DecodeMxfp4(const std::byte* block, float* out) {
  constexpr int kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  const float d = std::ldexp(1.0F, ByteAt(block) - 128);
  for (int i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(kDoubled[NibbleAt(block + 1, i)]);
  }
}

}  // namespace llmrun::codec
