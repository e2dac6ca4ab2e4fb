// The quantized types as 64-byte units; see portable/formats.h. Include only from this folder.
#pragma once

#include <cstddef>

#include "compute/kernels/avx512/isa.h"
#include "compute/kernels/generic/six_bits.h"

namespace llmrun::avx512 {

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
    const __m512i values = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(eight, eight));
    return _mm512_mul_ps(_mm512_set1_ps(factor), _mm512_cvtepi32_ps(values));
  }
  static __m512i LowNibbles(__m512i x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
};

struct FormatQ8_0 : FormatBase {
  static constexpr int kBlockBytes = 34;
  static constexpr int kChunkBytes = 8 * kBlockBytes;
  static constexpr int kOffset = 128;
  static constexpr bool kHasMin = false;

  static Isa::B Unit(const std::byte* chunk, int u) {
    const std::byte* block = chunk + 2 * u * kBlockBytes;
    const __m512i signed_weights = _mm512_inserti64x4(
        _mm512_castsi256_si512(Isa::Load32(block + 2)), Isa::Load32(block + kBlockBytes + 2), 1);
    return _mm512_xor_si512(signed_weights, _mm512_set1_epi8(static_cast<char>(0x80)));
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
    const __m512i both = _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(Isa::Load16(block + 2)),
                                                     0xFF00, Isa::Load16(block + kBlockBytes + 2));
    // Low nibbles, high nibbles, of the first block and of the second.
    return LowNibbles(_mm512_srlv_epi64(both, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4)));
  }
  static Isa::F Scales(const std::byte* chunk) { return BlockScales<kBlockBytes>(chunk); }
};

struct FormatQ4_K : FormatBase {
  static constexpr int kChunkBytes = 144;
  static constexpr int kOffset = 0;
  static constexpr bool kHasMin = true;

  static Isa::B Unit(const std::byte* chunk, int u) {
    const __m512i twice = _mm512_broadcast_i64x4(Isa::Load32(chunk + 16 + u * 32));
    return LowNibbles(_mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4)));
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
    const __m512i low = _mm512_loadu_si512(chunk + u / 2 * 64);
    const __m512i high = _mm512_broadcast_i64x4(Isa::Load32(chunk + 128 + u / 2 * 32));
    // The two high bits of each weight, moved to bits 4 and 5 of its byte.
    const __m512i moved = u % 2 == 0
                              ? _mm512_sllv_epi64(high, _mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2))
                              : _mm512_srlv_epi64(high, _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2));
    const __m512i nibbles = LowNibbles(u % 2 == 0 ? low : _mm512_srli_epi16(low, 4));
    return _mm512_or_si512(nibbles, _mm512_and_si512(moved, _mm512_set1_epi8(0x30)));
  }
  static Isa::F Scales(const std::byte* chunk) {
    const __m512i scales = _mm512_cvtepi8_epi32(Isa::Load16(chunk + 192));
    return _mm512_mul_ps(_mm512_set1_ps(HalfAt(chunk + 208)), _mm512_cvtepi32_ps(scales));
  }
};

struct Formats {
  using Q8_0 = FormatQ8_0;
  using Q4_0 = FormatQ4_0;
  using Q4_K = FormatQ4_K;
  using Q6_K = FormatQ6_K;
};

}  // namespace llmrun::avx512
