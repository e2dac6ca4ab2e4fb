// The decoders of single blocks that codec.cc chooses from, by family of layouts, and how they
// read. A decoder writes TraitsOf(type).block_elems floats, and reads block_bytes at any alignment.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compute/half.h"

namespace llmrun::codec {

template <typename T>
T ReadAs(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline float HalfAt(const std::byte* at) { return HalfToFloat(ReadAs<uint16_t>(at)); }
inline int ByteAt(const std::byte* at) { return std::to_integer<int>(*at); }

// Value i of 32 in 16 bytes: low nibbles are values 0..15, high nibbles 16..31.
inline int NibbleAt(const std::byte* packed, int i) {
  return ByteAt(packed + i % 16) >> (i / 16 * 4) & 15;
}

// Value i of 256 in 64 bytes of two bits each: every 32 bytes hold four runs of 32 values.
inline int TwoBitsAt(const std::byte* packed, int i) {
  return ByteAt(packed + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3;
}

// What the 16 quants of IQ4_NL and IQ4_XS stand for.
inline constexpr int kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113};

// Single values, and blocks of 32 with one scale: codec_blocks.cc
void DecodeF32(const std::byte* block, float* out);
void DecodeF16(const std::byte* block, float* out);
void DecodeBf16(const std::byte* block, float* out);
void DecodeQ4_0(const std::byte* block, float* out);
void DecodeQ4_1(const std::byte* block, float* out);
void DecodeQ5_0(const std::byte* block, float* out);
void DecodeQ5_1(const std::byte* block, float* out);
void DecodeQ8_0(const std::byte* block, float* out);
void DecodeIq4Nl(const std::byte* block, float* out);
void DecodeMxfp4(const std::byte* block, float* out);

// Superblocks of 256 with a scale for every 16 or 32 values: codec_super.cc
void DecodeQ2_K(const std::byte* block, float* out);
void DecodeQ3_K(const std::byte* block, float* out);
void DecodeQ4_K(const std::byte* block, float* out);
void DecodeQ5_K(const std::byte* block, float* out);
void DecodeQ6_K(const std::byte* block, float* out);
void DecodeIq4Xs(const std::byte* block, float* out);

// Values -1, 0, 1 times a scale: codec_ternary.cc
void DecodeTq1_0(const std::byte* block, float* out);
void DecodeTq2_0(const std::byte* block, float* out);
void DecodeIq2Bn(const std::byte* block, float* out);  // before the row's scale
void DecodeI2S(const std::byte* block, float* out);    // before the tensor's scale

}  // namespace llmrun::codec
