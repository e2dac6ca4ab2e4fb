// The quantized types as 64-byte units; see portable/formats.h. Include only from this folder.
#pragma once

#include <cstddef>

#include "compute/kernels/avx2/isa.h"
#include "compute/kernels/generic/six_bits.h"

namespace llmrun::avx2 {

struct FormatBase {
  static uint16_t Half(const std::byte* at) {
    uint16_t half = 0;
    __builtin_memcpy(&half, at, sizeof half);
    return half;
  }
  static float HalfAt(const std::byte* at) { return _cvtsh_ss(Half(at)); }
  // The halves that begin eight consecutive blocks, each for its two groups.
  template <int kBlockBytes>
  static Isa::F BlockScales(const std::byte* chunk) {
    const auto half = [&](int i) { return static_cast<int16_t>(Half(chunk + i * kBlockBytes)); };
    return Isa::Twice(_mm256_cvtph_ps(
        _mm_setr_epi16(half(0), half(1), half(2), half(3), half(4), half(5), half(6), half(7))));
  }
  // factor * byte j, for the two groups of each of eight bytes.
  static Isa::F ScaledTwice(float factor, uint64_t bytes) {
    const __m128i eight = _mm_cvtsi64_si128(static_cast<int64_t>(bytes));
    return Isa::Twice(
        _mm256_mul_ps(_mm256_set1_ps(factor), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight))));
  }
  static __m256i LowNibbles(__m256i x) { return _mm256_and_si256(x, _mm256_set1_epi8(15)); }
  static __m256i HighNibbles(__m256i x) { return LowNibbles(_mm256_srli_epi16(x, 4)); }
};

struct FormatQ8_0 : FormatBase {
  static constexpr int kBlockBytes = 34;
  static constexpr int kChunkBytes = 8 * kBlockBytes;
  static constexpr int kOffset = 128;  // Isa::Dot wants these signed
  static constexpr bool kHasMin = false;

  static Isa::B Unit(const std::byte* chunk, int u) {
    const std::byte* block = chunk + 2 * u * kBlockBytes;
    return {Isa::Load32(block + 2), Isa::Load32(block + kBlockBytes + 2)};
  }
  static Isa::F Scales(const std::byte* chunk) { return BlockScales<kBlockBytes>(chunk); }
};

struct FormatQ4_0 : FormatBase {
  static constexpr int kBlockBytes = 18;
  static constexpr int kChunkBytes = 8 * kBlockBytes;
  static constexpr int kOffset = 8;
  static constexpr bool kHasMin = false;

  static Isa::B Unit(const std::byte* chunk, int u) {
    const std::byte* block = chunk + 2 * u * kBlockBytes;
    return {Nibbles(block + 2), Nibbles(block + kBlockBytes + 2)};
  }
  static Isa::F Scales(const std::byte* chunk) { return BlockScales<kBlockBytes>(chunk); }

 private:
  static __m256i Nibbles(const std::byte* at) {
    const __m128i bytes = Isa::Load16(at);
    return LowNibbles(_mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes));
  }
};

struct FormatQ4_K : FormatBase {
  static constexpr int kChunkBytes = 144;
  static constexpr int kOffset = 0;
  static constexpr bool kHasMin = true;

  static Isa::B Unit(const std::byte* chunk, int u) {
    const __m256i bytes = Isa::Load32(chunk + 16 + u * 32);
    return {LowNibbles(bytes), HighNibbles(bytes)};
  }
  static Isa::F Scales(const std::byte* chunk) {
    return ScaledTwice(HalfAt(chunk), generic::UnpackSixBits<Isa>(chunk + 4).scales);
  }
  static Isa::F NegativeMins(const std::byte* chunk) {
    return ScaledTwice(-HalfAt(chunk + 2), generic::UnpackSixBits<Isa>(chunk + 4).mins);
  }
};

struct FormatQ6_K : FormatBase {
  static constexpr int kChunkBytes = 210;
  static constexpr int kOffset = 32;
  static constexpr bool kHasMin = false;

  static Isa::B Unit(const std::byte* chunk, int u) {
    const __m256i low = Isa::Load32(chunk + u / 2 * 64);
    const __m256i next = Isa::Load32(chunk + u / 2 * 64 + 32);
    const __m256i high = Isa::Load32(chunk + 128 + u / 2 * 32);
    if (u % 2 == 0) {
      return {Join(LowNibbles(low), _mm256_slli_epi16(high, 4)),
              Join(LowNibbles(next), _mm256_slli_epi16(high, 2))};
    }
    return {Join(HighNibbles(low), high), Join(HighNibbles(next), _mm256_srli_epi16(high, 2))};
  }
  static Isa::F Scales(const std::byte* chunk) {
    const Isa::F d = Isa::Set(HalfAt(chunk + 208));
    const __m128i bytes = Isa::Load16(chunk + 192);
    return {
        _mm256_mul_ps(d.low, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))),
        _mm256_mul_ps(d.high, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))))};
  }

 private:
  // The high bits lie in bits 4 and 5 of their bytes, among others.
  static __m256i Join(__m256i nibbles, __m256i high) {
    return _mm256_or_si256(nibbles, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
  }
};

struct Formats {
  using Q8_0 = FormatQ8_0;
  using Q4_0 = FormatQ4_0;
  using Q4_K = FormatQ4_K;
  using Q6_K = FormatQ6_K;
};

}  // namespace llmrun::avx2
