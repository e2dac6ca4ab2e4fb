#include "compute/codec_decoders.h"

namespace llmrun::codec {
namespace {

// Digit n of a byte that stands for the fraction byte / 256, whose first digits in base 3 are the
// values: shifted by n digits without its integer part, and the integer part of three times that.
int TritAt(const std::byte* at, int n) {
  constexpr int kPowers[] = {1, 3, 9, 27, 81};
  return (ByteAt(at) * kPowers[n] & 255) * 3 >> 8;
}

}  // namespace

// 32 bytes of five digits, 16 of five, 4 of four, the first digits of all bytes first; f16 d
void DecodeTq1_0(const std::byte* block, float* out) {
  struct Run {
    int first, bytes, digits;
  };
  const float d = HalfAt(block + 52);
  for (const Run run : {Run{0, 32, 5}, Run{32, 16, 5}, Run{48, 4, 4}}) {
    for (int n = 0; n < run.digits; ++n) {
      for (int i = run.first; i < run.first + run.bytes; ++i) {
        *out++ = d * static_cast<float>(TritAt(block + i, n) - 1);
      }
    }
  }
}

// 64 bytes of two bits; f16 d; offset 1
void DecodeTq2_0(const std::byte* block, float* out) {
  const float d = HalfAt(block + 64);
  for (int i = 0; i < 256; ++i) out[i] = d * static_cast<float>(TwoBitsAt(block, i) - 1);
}

// 16 bytes of two bits, four runs of 16 values; offset 1
void DecodeIq2Bn(const std::byte* block, float* out) {
  for (int i = 0; i < 64; ++i) {
    out[i] = static_cast<float>((ByteAt(block + i % 16) >> (i / 16 * 2) & 3) - 1);
  }
}

// 32 bytes of two bits, four runs of 32 values, the first in the highest bits; offset 1
void DecodeI2S(const std::byte* block, float* out) {
  for (int i = 0; i < 128; ++i) {
    out[i] = static_cast<float>((ByteAt(block + i % 32) >> (6 - i / 32 * 2) & 3) - 1);
  }
}

}  // namespace llmrun::codec
