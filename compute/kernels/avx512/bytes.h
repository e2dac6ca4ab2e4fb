// AVX-512 F, BW, DQ, VL and VNNI: 64 bytes of weights and activations. Include
// only from files of this folder; portable/ says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/avx512/floats.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::avx512 {

struct Bytes : Floats {
  LLMRUN_INLINE static void Transpose(const std::byte* at, int64_t stride, B (&dwords)[4]) {
    __m512i rows[4];
    for (int i = 0; i < 4; ++i) {
      const std::byte* row = at + i * stride;
      rows[i] = FourPieces({row, row + 4 * stride, row + 8 * stride, row + 12 * stride});
    }
    const __m512i low01 = _mm512_unpacklo_epi32(rows[0], rows[1]);
    const __m512i high01 = _mm512_unpackhi_epi32(rows[0], rows[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(rows[2], rows[3]);
    const __m512i high23 = _mm512_unpackhi_epi32(rows[2], rows[3]);
    dwords[0] = _mm512_unpacklo_epi64(low01, low23);
    dwords[1] = _mm512_unpackhi_epi64(low01, low23);
    dwords[2] = _mm512_unpacklo_epi64(high01, high23);
    dwords[3] = _mm512_unpackhi_epi64(high01, high23);
  }
  LLMRUN_INLINE static B SetBytes(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
  LLMRUN_INLINE static B AndBytes(B a, B b) { return _mm512_and_si512(a, b); }
  LLMRUN_INLINE static B OrBytes(B a, B b) { return _mm512_or_si512(a, b); }
  LLMRUN_INLINE static B AddBytes(B a, B b) { return _mm512_add_epi8(a, b); }
  LLMRUN_INLINE static B LookUp(uint64_t low, uint64_t high, B x) {
    const __m128i table = _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), x);
  }
  LLMRUN_INLINE static B DigitOfFlipped(B x) {
    const __mmask64 one = _mm512_cmpgt_epi8_mask(x, _mm512_set1_epi8(85 - 128));
    const __mmask64 two = _mm512_cmpgt_epi8_mask(x, _mm512_set1_epi8(170 - 128));
    return _mm512_mask_mov_epi8(_mm512_maskz_mov_epi8(one, _mm512_set1_epi8(1)), two,
                                _mm512_set1_epi8(2));
  }
  template <int half>
  LLMRUN_INLINE static B SixteenBits(B x) {
    const __m512i bytes = _mm512_shuffle_epi8(
        x, _mm512_broadcast_i32x4(_mm_set_epi64x(0x0101010101010101 * (2 * half + 1),
                                                 0x0101010101010101 * (2 * half))));
    const __m512i bits = _mm512_set1_epi64(static_cast<int64_t>(0x8040201008040201));
    return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(bytes, bits), _mm512_set1_epi8(16));
  }
  template <int kFirst>
  LLMRUN_INLINE static B FourBits(B x) {
    constexpr uint32_t kByte = 0x01010101U * (kFirst / 8);
    const auto from = [](uint32_t byte) { return static_cast<int>(byte + kByte); };
    const __m512i bytes =
        _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(_mm_set_epi32(
                                   from(0x0C0C0C0C), from(0x08080808), from(0x04040404), from(0))));
    const __m512i bits = _mm512_set1_epi32(static_cast<int>(0x08040201U << kFirst % 8));
    return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(bytes, bits), _mm512_set1_epi8(16));
  }
  LLMRUN_INLINE static B PowersOfThree(B x) {
    const __m512i three = AddBytes(x, AddBytes(x, x));
    const __m512i nine = AddBytes(three, AddBytes(three, three));
    const __m512i last = AddBytes(nine, AddBytes(nine, nine));
    return _mm512_mask_mov_epi32(
        _mm512_mask_mov_epi32(_mm512_mask_mov_epi32(x, 0x2222, three), 0x4444, nine), 0x8888, last);
  }
  LLMRUN_INLINE static B XorBytes(B a, B b) { return _mm512_xor_si512(a, b); }
  template <int n>
  LLMRUN_INLINE static B ShiftRight(B x) {
    return _mm512_srli_epi16(x, n);
  }
  template <int n>
  LLMRUN_INLINE static B ShiftLeft(B x) {
    return _mm512_slli_epi16(x, n);
  }
  LLMRUN_INLINE static B LoadBytes(const int8_t* at) { return _mm512_loadu_si512(at); }
  LLMRUN_INLINE static B FourPieces(const std::byte* const (&at)[4]) {
    const __m512i first = _mm512_castsi128_si512(Load16(at[0]));
    const __m512i second = _mm512_mask_broadcast_i32x4(first, 0x00F0, Load16(at[1]));
    const __m512i third = _mm512_mask_broadcast_i32x4(second, 0x0F00, Load16(at[2]));
    return _mm512_mask_broadcast_i32x4(third, 0xF000, Load16(at[3]));
  }
  template <int i>
  LLMRUN_INLINE static B Dword(B x) {
    return _mm512_shuffle_epi32(x, static_cast<_MM_PERM_ENUM>(i * 0x55));
  }
  LLMRUN_INLINE static void StoreGroup(std::byte* at, B x) { _mm512_store_si512(at, x); }
  LLMRUN_INLINE static B LoadGroup(const std::byte* at) { return _mm512_load_si512(at); }
  // GCC would have every shift of x read it again, and each such read is two where x crosses a
  // line.
  LLMRUN_INLINE static B Held(B x) {
    asm("" : LLMRUN_IN_REGISTER(x));
    return x;
  }
  LLMRUN_INLINE static B SpreadFour(const int8_t* at) {
    return _mm512_set1_epi32(Word(reinterpret_cast<const std::byte*>(at)));
  }
};

}  // namespace llmrun::avx512
