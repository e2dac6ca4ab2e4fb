// The instruction set of any machine: 64 bytes of weights and activations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compute/kernels/portable/floats.h"

namespace llmrun::portable {

struct Bytes : Floats {
  // 16 bytes of each of 16 rows: dwords[i] has bytes 4i..4i+3 of row r as lane r.
  static void Transpose(const std::byte* at, int64_t stride, B (&dwords)[4]) {
    for (int r = 0; r < kLanes; ++r) {
      for (int i = 0; i < 4; ++i) std::memcpy(dwords[i].v + 4 * r, at + r * stride + 4 * i, 4);
    }
  }

  static B SetBytes(int x) {
    B r;
    std::memset(r.v, x, sizeof r.v);
    return r;
  }
  template <typename Function>
  static B EachByte(Function function) {
    B r;
    for (int i = 0; i < 64; ++i) r.v[i] = static_cast<uint8_t>(function(i));
    return r;
  }
  static B AndBytes(const B& a, const B& b) {
    return EachByte([&](int i) { return a.v[i] & b.v[i]; });
  }
  static B OrBytes(const B& a, const B& b) {
    return EachByte([&](int i) { return a.v[i] | b.v[i]; });
  }
  static B AddBytes(const B& a, const B& b) {
    return EachByte([&](int i) { return a.v[i] + b.v[i]; });
  }
  // Bytes 0..15 of a table, the first in the lowest bits, at the places x.
  static B LookUp(uint64_t low, uint64_t high, const B& x) {
    return EachByte([&](int i) { return (x.v[i] < 8 ? low : high) >> 8 * (x.v[i] % 8) & 0xFF; });
  }
  // What three times each byte has above 256, 0 to 2; of bytes whose top bits are flipped, for
  // instruction sets compare signed bytes more easily.
  static B DigitOfFlipped(const B& x) {
    return EachByte([&](int i) {
      const auto flipped = static_cast<int8_t>(x.v[i]);
      return (flipped > 85 - 128 ? 1 : 0) + (flipped > 170 - 128 ? 1 : 0);
    });
  }
  // In each 16 bytes: bit i of 16, of the first or second half of the first four bytes, as byte 16
  // or 0.
  template <int half>
  static B SixteenBits(const B& x) {
    return EachByte([&](int i) {
      const int byte = x.v[i / 16 * 16 + 2 * half + i % 16 / 8];
      return (byte >> i % 8 & 1) * 16;
    });
  }
  // In each four bytes: bits kFirst.. of the 32 there, as bytes 16 or 0.
  template <int kFirst>
  static B FourBits(const B& x) {
    return EachByte(
        [&](int i) { return (x.v[i / 4 * 4 + kFirst / 8] >> (kFirst % 8 + i % 4) & 1) * 16; });
  }
  // In each 16 bytes: four times 1, four times 3, 9 and 27.
  static B PowersOfThree(const B& x) {
    constexpr int kPowers[4] = {1, 3, 9, 27};
    return EachByte([&](int i) { return x.v[i] * kPowers[i / 4 % 4]; });
  }
  static B XorBytes(const B& a, const B& b) {
    return EachByte([&](int i) { return a.v[i] ^ b.v[i]; });
  }
  // Of bytes; what comes in from a neighbour byte is for the caller to mask, here it is 0.
  template <int n>
  static B ShiftRight(const B& x) {
    return EachByte([&](int i) { return x.v[i] >> n; });
  }
  template <int n>
  static B ShiftLeft(const B& x) {
    return EachByte([&](int i) { return x.v[i] << n; });
  }

  // At multiples of 64 bytes.
  static void StoreGroup(std::byte* at, const B& x) { std::memcpy(at, x.v, sizeof x.v); }
  static B LoadGroup(const std::byte* at) {
    B r;
    std::memcpy(r.v, at, sizeof r.v);
    return r;
  }
  // x, in a register.
  static const B& Held(const B& x) { return x; }
  static B SpreadFour(const int8_t* at) {
    return EachByte([&](int i) { return at[i % 4]; });
  }
  static B LoadBytes(const int8_t* at) {
    B r;
    std::memcpy(r.v, at, sizeof r.v);
    return r;
  }
  // 16 bytes from each of four places, side by side.
  static B FourPieces(const std::byte* const (&at)[4]) {
    B r;
    for (int i = 0; i < 4; ++i) std::memcpy(r.v + 16 * i, at[i], 16);
    return r;
  }
  // Of each 16 bytes, the i-th four, four times.
  template <int i>
  static B Dword(const B& x) {
    return EachByte([&](int j) { return x.v[j / 16 * 16 + 4 * i + j % 4]; });
  }
};

}  // namespace llmrun::portable
