#include "compute/codec_decoders.h"

namespace llmrun::codec {
namespace {

// The 6-bit scale and minimum of sub-block j (of 8) in the 12 bytes of a Q4_K or Q5_K block.
void SixBitPair(const std::byte* packed, int j, int* scale, int* min) {
  if (j < 4) {
    *scale = ByteAt(packed + j) & 63;
    *min = ByteAt(packed + j + 4) & 63;
  } else {
    const int low = ByteAt(packed + j + 4);
    *scale = (low & 15) | (ByteAt(packed + j - 4) >> 6) << 4;
    *min = (low >> 4) | (ByteAt(packed + j) >> 6) << 4;
  }
}

// f16 d, dmin; 12 bytes of scales; with a fifth bit 32 bytes, bit j of which belongs to sub-block
// j; 128 bytes: each 32 hold two sub-blocks, low nibbles first
template <bool kFifthBit>
void DecodeEightPairs(const std::byte* block, float* out) {
  const std::byte* const nibbles = block + (kFifthBit ? 48 : 16);
  const float d = HalfAt(block);
  const float dmin = HalfAt(block + 2);
  for (int j = 0; j < 8; ++j) {
    int scale = 0;
    int min = 0;
    SixBitPair(block + 4, j, &scale, &min);
    const float step = d * static_cast<float>(scale);
    const float offset = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) {
      int q = ByteAt(nibbles + j / 2 * 32 + i) >> (j % 2 * 4) & 15;
      if (kFifthBit) q |= (ByteAt(block + 16 + i) >> j & 1) << 4;
      out[j * 32 + i] = step * static_cast<float>(q) - offset;
    }
  }
}

}  // namespace

// 16 bytes: scale in the low nibble, minimum in the high one; 64 bytes of two bits; f16 d, dmin
void DecodeQ2_K(const std::byte* block, float* out) {
  const float d = HalfAt(block + 80);
  const float dmin = HalfAt(block + 82);
  for (int j = 0; j < 16; ++j) {
    const int pair = ByteAt(block + j);
    const float step = d * static_cast<float>(pair & 15);
    const float offset = dmin * static_cast<float>(pair >> 4);
    for (int i = j * 16; i < j * 16 + 16; ++i) {
      out[i] = step * static_cast<float>(TwoBitsAt(block + 16, i)) - offset;
    }
  }
}

// 32 bytes, bit k of which is the third bit of values 32 k to 32 k + 31; 64 bytes of two bits; 12
// bytes of 6-bit scales: the low four bits as nibbles (low ones first), the upper two of scales j,
// j + 4, j + 8 and j + 12 in byte 8 + j; f16 d. Offset 4 of values, 32 of scales.
void DecodeQ3_K(const std::byte* block, float* out) {
  const float d = HalfAt(block + 108);
  const std::byte* const scales = block + 96;
  for (int j = 0; j < 16; ++j) {
    const int low = ByteAt(scales + j % 8) >> (j / 8 * 4) & 15;
    const int high = ByteAt(scales + 8 + j % 4) >> (j / 4 * 2) & 3;
    const float step = d * static_cast<float>((low | high << 4) - 32);
    for (int i = j * 16; i < j * 16 + 16; ++i) {
      const int third = ByteAt(block + i % 32) >> (i / 32) & 1;
      out[i] = step * static_cast<float>((TwoBitsAt(block + 32, i) | third << 2) - 4);
    }
  }
}

void DecodeQ4_K(const std::byte* block, float* out) { DecodeEightPairs<false>(block, out); }
void DecodeQ5_K(const std::byte* block, float* out) { DecodeEightPairs<true>(block, out); }

// ql[128], qh[64], int8 scales[16], f16 d. Each half of 128 values takes 64 bytes of ql (low
// nibbles: values 0..63, high nibbles: 64..127) and 32 of qh (two bits for every 32 values).
void DecodeQ6_K(const std::byte* block, float* out) {
  const float d = HalfAt(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int low = ByteAt(block + i / 128 * 64 + i % 64) >> (i % 128 / 64 * 4) & 15;
    const int high = TwoBitsAt(block + 128, i);
    const float step = d * static_cast<float>(ReadAs<int8_t>(block + 192 + i / 16));
    out[i] = step * static_cast<float>((low | high << 4) - 32);
  }
}

// f16 d; the upper two bits of eight 6-bit scales; their low four as nibbles; 16 bytes of nibbles
// for every 32 values. Offset 32 of scales.
void DecodeIq4Xs(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  const int upper = ReadAs<uint16_t>(block + 2);
  for (int j = 0; j < 8; ++j) {
    const int low = ByteAt(block + 4 + j / 2) >> (j % 2 * 4) & 15;
    const int scale = low | (upper >> (2 * j) & 3) << 4;
    const float step = d * static_cast<float>(scale - 32);
    for (int i = 0; i < 32; ++i) {
      const int q = NibbleAt(block + 8 + j * 16, i);
      out[j * 32 + i] = step * static_cast<float>(kIq4Values[q]);
    }
  }
}

}  // namespace llmrun::codec
