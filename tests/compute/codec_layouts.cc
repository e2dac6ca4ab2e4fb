#include "tests/compute/codec_layouts.h"

#include <bit>
#include <cmath>

#include "compute/half.h"

namespace llmrun::testing {
namespace {

using Row = std::vector<uint8_t>;

// `count` bits from bit `first` of the row on, which is bit first % 8 of byte first / 8: no more
// than that byte has.
int Bits(const Row& row, size_t first, size_t count) {
  return row[first / 8] >> (first % 8) & ((1 << count) - 1);
}

int Signed(uint8_t byte) { return byte < 128 ? byte : byte - 256; }

double Half(const Row& row, size_t at) {
  return HalfToFloat(static_cast<uint16_t>(row[at] | row[at + 1] << 8));
}

// Value i of 32 in the nibbles that begin at a byte.
int Nibble(const Row& row, size_t byte, size_t i) {
  return Bits(row, 8 * (byte + i % 16) + (i < 16 ? 0 : 4), 4);
}

double WantQ4_0(const Row& b, size_t i) { return Half(b, 0) * (Nibble(b, 2, i) - 8); }
double WantQ4_1(const Row& b, size_t i) { return Half(b, 0) * Nibble(b, 4, i) + Half(b, 2); }

double WantQ5_0(const Row& b, size_t i) {
  return Half(b, 0) * (Nibble(b, 6, i) + 16 * Bits(b, 8 * 2 + i, 1) - 16);
}

double WantQ5_1(const Row& b, size_t i) {
  return Half(b, 0) * (Nibble(b, 8, i) + 16 * Bits(b, 8 * 4 + i, 1)) + Half(b, 2);
}

double WantQ8_0(const Row& b, size_t i) { return Half(b, 0) * Signed(b[2 + i]); }

int Iq4(int q) {
  constexpr int kSteps[] = {-127, 23, 21, 18, 16, 14, 13, 12, 11, 12, 12, 13, 15, 16, 20, 24};
  int value = 0;
  for (int k = 0; k <= q; ++k) value += kSteps[k];
  return value;
}

double WantIq4Nl(const Row& b, size_t i) { return Half(b, 0) * Iq4(Nibble(b, 2, i)); }

// Four bits of a float: sign, two of exponent with bias 1, one of fraction; exponent 0 is denormal.
double WantMxfp4(const Row& b, size_t i) {
  const int exponent = Bits(b, 8 * (1 + i % 16) + (i < 16 ? 0 : 4) + 1, 2);
  const int fraction = Nibble(b, 1, i) % 2;
  const double magnitude =
      exponent == 0 ? 0.5 * fraction : std::ldexp(1 + 0.5 * fraction, exponent - 1);
  return std::ldexp(Nibble(b, 1, i) < 8 ? magnitude : -magnitude, b[0] - 127);
}

// Value i of 256 in the two bits of 64 bytes that begin at a byte.
int TwoBits(const Row& row, size_t byte, size_t i) {
  return Bits(row, 8 * (byte + (i < 128 ? 0 : 32) + i % 32) + i % 128 / 32 * 2, 2);
}

double WantQ2_K(const Row& b, size_t i) {
  return Half(b, 80) * Bits(b, 8 * (i / 16), 4) * TwoBits(b, 16, i) -
         Half(b, 82) * Bits(b, 8 * (i / 16) + 4, 4);
}

double WantQ3_K(const Row& b, size_t i) {
  // Scales 0..7 in the low nibbles of bytes 96..103, 8..15 in the high ones; bytes 104..107 are
  // four times the upper bits of four scales.
  const size_t j = i / 16;
  const int scale = Bits(b, 8 * (96 + j % 8) + (j < 8 ? 0 : 4), 4) +
                    16 * Bits(b, 8 * (104 + j % 4) + j / 4 * 2, 2);
  const int q = TwoBits(b, 32, i) - (Bits(b, 8 * (i % 32) + i / 32, 1) == 1 ? 0 : 4);
  return Half(b, 108) * (scale - 32) * q;
}

struct SixBits {
  int scale, min;
};

// Of sub-block j of Q4_K and Q5_K.
SixBits SixBitsAt(const Row& b, size_t j) {
  const uint8_t* s = b.data() + 4;
  const SixBits all[8] = {{s[0] % 64, s[4] % 64},
                          {s[1] % 64, s[5] % 64},
                          {s[2] % 64, s[6] % 64},
                          {s[3] % 64, s[7] % 64},
                          {s[8] % 16 + s[0] / 64 * 16, s[8] / 16 + s[4] / 64 * 16},
                          {s[9] % 16 + s[1] / 64 * 16, s[9] / 16 + s[5] / 64 * 16},
                          {s[10] % 16 + s[2] / 64 * 16, s[10] / 16 + s[6] / 64 * 16},
                          {s[11] % 16 + s[3] / 64 * 16, s[11] / 16 + s[7] / 64 * 16}};
  return all[j];
}

double WantQ4_K(const Row& b, size_t i) {
  const SixBits six = SixBitsAt(b, i / 32);
  const int q = Bits(b, 8 * (16 + i / 64 * 32 + i % 32) + (i % 64 < 32 ? 0 : 4), 4);
  return Half(b, 0) * six.scale * q - Half(b, 2) * six.min;
}

double WantQ5_K(const Row& b, size_t i) {
  const SixBits six = SixBitsAt(b, i / 32);
  const int q = Bits(b, 8 * (48 + i / 64 * 32 + i % 32) + (i % 64 < 32 ? 0 : 4), 4) +
                16 * Bits(b, 8 * (16 + i % 32) + i / 32, 1);
  return Half(b, 0) * six.scale * q - Half(b, 2) * six.min;
}

double WantQ6_K(const Row& b, size_t i) {
  const size_t half = i / 128;
  const size_t l = i % 32;
  const uint8_t* ql = b.data() + half * 64;
  const int high = b[128 + half * 32 + l];
  int q = 0;
  switch (i % 128 / 32) {
    case 0:
      q = ql[l] % 16 + high % 4 * 16;
      break;
    case 1:
      q = ql[l + 32] % 16 + high / 4 % 4 * 16;
      break;
    case 2:
      q = ql[l] / 16 + high / 16 % 4 * 16;
      break;
    default:
      q = ql[l + 32] / 16 + high / 64 * 16;
  }
  return Half(b, 208) * Signed(b[192 + i / 16]) * (q - 32);
}

double WantIq4Xs(const Row& b, size_t i) {
  const size_t j = i / 32;
  const int scale = Bits(b, 8 * 4 + 4 * j, 4) + 16 * Bits(b, 8 * 2 + 2 * j, 2);
  return Half(b, 0) * (scale - 32) * Iq4(Nibble(b, 8 + 16 * j, i % 32));
}

// Digits of byte / 256 in base 3, by long division.
double WantTq1_0(const Row& b, size_t i) {
  const size_t byte = i < 160 ? i % 32 : i < 240 ? 32 + i % 16 : 48 + i % 4;
  const size_t digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
  int rest = b[byte];
  int trit = 0;
  for (size_t k = 0; k <= digit; ++k) {
    trit = 3 * rest / 256;
    rest = 3 * rest % 256;
  }
  return Half(b, 52) * (trit - 1);
}

double WantTq2_0(const Row& b, size_t i) { return Half(b, 64) * (TwoBits(b, 0, i) - 1); }

double WantIq2Bn(const Row& b, size_t i) {
  const uint32_t scale = b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
  const size_t byte = 4 + i / 64 * 16 + i % 16;
  return double{std::bit_cast<float>(scale)} * (Bits(b, 8 * byte + i % 64 / 16 * 2, 2) - 1);
}

double WantI2S(const Row& b, size_t i) {
  return Bits(b, 8 * (i / 128 * 32 + i % 32) + 6 - i % 128 / 32 * 2, 2) - 1;
}

constexpr Layout kLayouts[] = {
    {DType::kQ4_0, 1, WantQ4_0},    {DType::kQ4_1, 1, WantQ4_1},    {DType::kQ5_0, 1, WantQ5_0},
    {DType::kQ5_1, 1, WantQ5_1},    {DType::kQ8_0, 1, WantQ8_0},    {DType::kQ2_K, 1, WantQ2_K},
    {DType::kQ3_K, 1, WantQ3_K},    {DType::kQ4_K, 1, WantQ4_K},    {DType::kQ5_K, 1, WantQ5_K},
    {DType::kQ6_K, 1, WantQ6_K},    {DType::kIQ4_NL, 1, WantIq4Nl}, {DType::kIQ4_XS, 1, WantIq4Xs},
    {DType::kTQ1_0, 1, WantTq1_0},  {DType::kTQ2_0, 1, WantTq2_0},  {DType::kMXFP4, 1, WantMxfp4},
    {DType::kIQ2_BN, 3, WantIq2Bn}, {DType::kI2_S, 2, WantI2S},
};

}  // namespace

std::span<const Layout> AllLayouts() { return kLayouts; }

}  // namespace llmrun::testing
