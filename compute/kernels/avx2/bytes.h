// AVX2, FMA and F16C: sixteen lanes in two registers: 64 bytes of weights and activations. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx2/floats.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::avx2 {

struct Bytes : Floats {
  LLMRUN_INLINE static void Transpose(const std::byte* at, int64_t stride, B (&dwords)[4]) {
    __m256i low[4];
    __m256i high[4];
    TransposeEight(at, stride, low);
    TransposeEight(at + 8 * stride, stride, high);
    for (int i = 0; i < 4; ++i) dwords[i] = {low[i], high[i]};
  }

  LLMRUN_INLINE static B SetBytes(int x) {
    const __m256i bytes = _mm256_set1_epi8(static_cast<char>(x));
    return {bytes, bytes};
  }
  LLMRUN_INLINE static B AndBytes(B a, B b) {
    return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
  }
  LLMRUN_INLINE static B OrBytes(B a, B b) {
    return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
  }
  LLMRUN_INLINE static B AddBytes(B a, B b) {
    return {_mm256_add_epi8(a.low, b.low), _mm256_add_epi8(a.high, b.high)};
  }
  LLMRUN_INLINE static B LookUp(uint64_t low, uint64_t high, B x) {
    const __m256i table = _mm256_broadcastsi128_si256(
        _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low)));
    return {_mm256_shuffle_epi8(table, x.low), _mm256_shuffle_epi8(table, x.high)};
  }
  LLMRUN_INLINE static B DigitOfFlipped(B x) {
    const auto digit = [](__m256i v) {
      const __m256i one =
          _mm256_and_si256(_mm256_cmpgt_epi8(v, _mm256_set1_epi8(85 - 128)), _mm256_set1_epi8(1));
      return _mm256_sub_epi8(one, _mm256_cmpgt_epi8(v, _mm256_set1_epi8(170 - 128)));
    };
    return {digit(x.low), digit(x.high)};
  }
  template <int half>
  LLMRUN_INLINE static B SixteenBits(B x) {
    const __m256i from = _mm256_broadcastsi128_si256(
        _mm_set_epi64x(0x0101010101010101 * (2 * half + 1), 0x0101010101010101 * (2 * half)));
    return BitsOf(x, from, _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201)));
  }
  template <int kFirst>
  LLMRUN_INLINE static B FourBits(B x) {
    constexpr uint32_t kByte = 0x01010101U * (kFirst / 8);
    const auto from = [](uint32_t byte) { return static_cast<int>(byte + kByte); };
    return BitsOf(x,
                  _mm256_broadcastsi128_si256(
                      _mm_set_epi32(from(0x0C0C0C0C), from(0x08080808), from(0x04040404), from(0))),
                  _mm256_set1_epi32(static_cast<int>(0x08040201U << kFirst % 8)));
  }
  LLMRUN_INLINE static B PowersOfThree(B x) {
    const B three = AddBytes(x, AddBytes(x, x));
    const B nine = AddBytes(three, AddBytes(three, three));
    const B last = AddBytes(nine, AddBytes(nine, nine));
    const auto blend = [](__m256i a, __m256i b, __m256i c, __m256i d) {
      return _mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x22), _mm256_blend_epi32(c, d, 0x88),
                                0xCC);
    };
    return {blend(x.low, three.low, nine.low, last.low),
            blend(x.high, three.high, nine.high, last.high)};
  }
  LLMRUN_INLINE static B XorBytes(B a, B b) {
    return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
  }
  template <int n>
  LLMRUN_INLINE static B ShiftRight(B x) {
    return {_mm256_srli_epi16(x.low, n), _mm256_srli_epi16(x.high, n)};
  }
  template <int n>
  LLMRUN_INLINE static B ShiftLeft(B x) {
    return {_mm256_slli_epi16(x.low, n), _mm256_slli_epi16(x.high, n)};
  }

  LLMRUN_INLINE static void StoreGroup(std::byte* at, B x) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(at), x.low);
    _mm256_store_si256(reinterpret_cast<__m256i*>(at) + 1, x.high);
  }
  LLMRUN_INLINE static B LoadGroup(const std::byte* at) {
    return {_mm256_load_si256(reinterpret_cast<const __m256i*>(at)),
            _mm256_load_si256(reinterpret_cast<const __m256i*>(at) + 1)};
  }
  LLMRUN_INLINE static void StoreWide(std::byte* at, B x) {
    StoreGroup(at, {EvenBytes(x.low), EvenBytes(x.high)});
    StoreGroup(at + 64, {OddBytes(x.low), OddBytes(x.high)});
  }
  LLMRUN_INLINE static void WidenEvenAndOdd(const int8_t* from, int16_t* to) {
    const __m256i x = Load32(from);
    StoreGroup(reinterpret_cast<std::byte*>(to), {EvenBytes(x), OddBytes(x)});
  }
  LLMRUN_INLINE static B Held(B x) { return x; }
  LLMRUN_INLINE static B SpreadFour(const int8_t* at) {
    const __m256i four = _mm256_set1_epi32(Word(reinterpret_cast<const std::byte*>(at)));
    return {four, four};
  }
  LLMRUN_INLINE static B LoadBytes(const int8_t* at) { return {Load32(at), Load32(at + 32)}; }
  LLMRUN_INLINE static B FourPieces(const std::byte* const (&at)[4]) {
    return {TwoPieces(at[0], at[1]), TwoPieces(at[2], at[3])};
  }
  template <int i>
  LLMRUN_INLINE static B Dword(B x) {
    return {_mm256_shuffle_epi32(x.low, i * 0x55), _mm256_shuffle_epi32(x.high, i * 0x55)};
  }

 private:
  // Signed, as words.
  LLMRUN_INLINE static __m256i EvenBytes(__m256i x) {
    return _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
  }
  LLMRUN_INLINE static __m256i OddBytes(__m256i x) { return _mm256_srai_epi16(x, 8); }
  LLMRUN_INLINE static __m256i TwoPieces(const std::byte* low, const std::byte* high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(Load16(low)), Load16(high), 1);
  }
  // Rows i and i + 4 in the halves of a register, then 4 x 4 double words in each half.
  LLMRUN_INLINE static void TransposeEight(const std::byte* at, int64_t stride,
                                           __m256i (&dwords)[4]) {
    __m256i rows[4];
    for (int i = 0; i < 4; ++i) {
      rows[i] = TwoPieces(at + i * stride, at + (i + 4) * stride);
    }
    const __m256i low01 = _mm256_unpacklo_epi32(rows[0], rows[1]);
    const __m256i high01 = _mm256_unpackhi_epi32(rows[0], rows[1]);
    const __m256i low23 = _mm256_unpacklo_epi32(rows[2], rows[3]);
    const __m256i high23 = _mm256_unpackhi_epi32(rows[2], rows[3]);
    dwords[0] = _mm256_unpacklo_epi64(low01, low23);
    dwords[1] = _mm256_unpackhi_epi64(low01, low23);
    dwords[2] = _mm256_unpacklo_epi64(high01, high23);
    dwords[3] = _mm256_unpackhi_epi64(high01, high23);
  }

 private:
  // In each byte 16 or 0: whether the byte that `from` takes has its bit of `bits`.
  LLMRUN_INLINE static B BitsOf(B x, __m256i from, __m256i bits) {
    const auto sixteen = [&](__m256i v) {
      const __m256i bit = _mm256_and_si256(_mm256_shuffle_epi8(v, from), bits);
      return _mm256_and_si256(_mm256_cmpeq_epi8(bit, bits), _mm256_set1_epi8(16));
    };
    return {sixteen(x.low), sixteen(x.high)};
  }
};

}  // namespace llmrun::avx2
