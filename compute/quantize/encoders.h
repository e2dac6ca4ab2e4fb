// The encoders of single blocks that compute/quantize.cc chooses from, by family of layouts. An
// encoder reads TraitsOf(type).block_elems values, all finite, and their importance where that is
// not null, and writes block_bytes. Layouts: compute/codec_*.cc.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compute/half.h"

namespace llmrun::quantize {

inline constexpr int kBlockElems = 32;
inline constexpr int kSuperElems = 256;

template <typename T>
void PutAs(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}
inline void PutHalf(std::byte* at, float value) { PutAs(at, FloatToHalf(value)); }
inline float RoundedToHalf(float value) { return HalfToFloat(FloatToHalf(value)); }
inline void OrByte(std::byte* at, int bits) { *at |= static_cast<std::byte>(bits); }

// Value i of 32 in 16 bytes, which were 0: low nibbles are values 0..15, high nibbles 16..31.
inline void PutNibble(std::byte* packed, int i, int code) {
  OrByte(packed + i % 16, code << (i / 16 * 4));
}
// Value i of 256 in 64 bytes, which were 0: every 32 bytes hold four runs of 32 values.
inline void PutTwoBits(std::byte* packed, int i, int code) {
  OrByte(packed + i / 128 * 32 + i % 32, code << (i % 128 / 32 * 2));
}

// What an error of each value weighs: see compute/quantize.h.
void BlockWeights(const float* values, const float* importance, int n, float* weights);

// Single values, and blocks of 32 with one scale: blocks.cc
void EncodeF32(const float* values, const float* importance, std::byte* block);
void EncodeF16(const float* values, const float* importance, std::byte* block);
void EncodeBf16(const float* values, const float* importance, std::byte* block);
void EncodeQ8_0(const float* values, const float* importance, std::byte* block);
void EncodeQ4_0(const float* values, const float* importance, std::byte* block);
void EncodeQ4_1(const float* values, const float* importance, std::byte* block);
void EncodeQ5_0(const float* values, const float* importance, std::byte* block);
void EncodeQ5_1(const float* values, const float* importance, std::byte* block);
void EncodeIq4Nl(const float* values, const float* importance, std::byte* block);
void EncodeMxfp4(const float* values, const float* importance, std::byte* block);

// Superblocks of 256 with scales alone: super_scales.cc
void EncodeQ3_K(const float* values, const float* importance, std::byte* block);
void EncodeQ6_K(const float* values, const float* importance, std::byte* block);
void EncodeIq4Xs(const float* values, const float* importance, std::byte* block);

// Superblocks of 256 with scales and minimums: super_pairs.cc
void EncodeQ2_K(const float* values, const float* importance, std::byte* block);
void EncodeQ4_K(const float* values, const float* importance, std::byte* block);
void EncodeQ5_K(const float* values, const float* importance, std::byte* block);

// Values -1, 0, 1 times a scale: ternary.cc
void EncodeTq1_0(const float* values, const float* importance, std::byte* block);
void EncodeTq2_0(const float* values, const float* importance, std::byte* block);
// Whole rows, or a part of a row of I2_S: n values over a scale that is given.
void EncodeIq2Bn(const float* values, const float* importance, int64_t n, std::byte* row);
void EncodeI2S(const float* values, int64_t n, float scale, std::byte* row);

}  // namespace llmrun::quantize
