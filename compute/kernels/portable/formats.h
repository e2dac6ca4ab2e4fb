// How the quantized types lie in memory (compute/codec.cc has the layouts), as the chunks of 256
// columns that generic/quant_tile.h works on:
//   kChunkBytes      bytes of a chunk
//   kOffset          what Unit() adds to each weight to make it unsigned
//   Unit(chunk, u)   the 64 weights of unit u, plus kOffset
//   Scales(chunk)    per group of 16 columns: value = scale * weight + negative minimum
//   NegativeMins     per group, if kHasMin
#pragma once

#include <cstddef>

#include "compute/kernels/portable/isa.h"

namespace llmrun::portable {

inline int ByteAt(const std::byte* at) { return std::to_integer<int>(*at); }
inline float HalfAt(const std::byte* at) { return HalfToFloat(ReadAs<uint16_t>(at)); }

struct FormatQ8_0 {
  static constexpr int kBlockBytes = 34;
  static constexpr int kChunkBytes = 8 * kBlockBytes;
  static constexpr int kOffset = 128;
  static constexpr bool kHasMin = false;

  static Isa::B Unit(const std::byte* chunk, int u) {
    Isa::B w;
    for (int i = 0; i < 64; ++i) {
      const std::byte* block = chunk + (2 * u + i / 32) * kBlockBytes;
      w.v[i] = static_cast<uint8_t>(ByteAt(block + 2 + i % 32) ^ 0x80);
    }
    return w;
  }
  static Isa::F Scales(const std::byte* chunk) {
    return Isa::Each([&](int g) { return HalfAt(chunk + g / 2 * kBlockBytes); });
  }
};

struct FormatQ4_0 {
  static constexpr int kBlockBytes = 18;
  static constexpr int kChunkBytes = 8 * kBlockBytes;
  static constexpr int kOffset = 8;
  static constexpr bool kHasMin = false;

  static Isa::B Unit(const std::byte* chunk, int u) {
    Isa::B w;
    for (int i = 0; i < 64; ++i) {
      const std::byte* block = chunk + (2 * u + i / 32) * kBlockBytes;
      w.v[i] = static_cast<uint8_t>(ByteAt(block + 2 + i % 16) >> (i / 16 % 2 * 4) & 15);
    }
    return w;
  }
  static Isa::F Scales(const std::byte* chunk) {
    return Isa::Each([&](int g) { return HalfAt(chunk + g / 2 * kBlockBytes); });
  }
};

struct FormatQ4_K {
  static constexpr int kChunkBytes = 144;
  static constexpr int kOffset = 0;
  static constexpr bool kHasMin = true;

  static Isa::B Unit(const std::byte* chunk, int u) {
    Isa::B w;
    for (int i = 0; i < 64; ++i) {
      w.v[i] = static_cast<uint8_t>(ByteAt(chunk + 16 + u * 32 + i % 32) >> (i / 32 * 4) & 15);
    }
    return w;
  }
  static Isa::F Scales(const std::byte* chunk) {
    const float d = HalfAt(chunk);
    return Isa::Each([&](int g) { return d * static_cast<float>(SixBits(chunk + 4, g / 2, 0)); });
  }
  static Isa::F NegativeMins(const std::byte* chunk) {
    const float dmin = -HalfAt(chunk + 2);
    return Isa::Each(
        [&](int g) { return dmin * static_cast<float>(SixBits(chunk + 4, g / 2, 4)); });
  }

 private:
  // Number j of 8: of the scales (which = 0) or of the minimums (which = 4). The first four lie in
  // the low bits of bytes 0..3 or 4..7; the others have four bits in bytes 8..11 and two above
  // those.
  static int SixBits(const std::byte* packed, int j, int which) {
    if (j < 4) return ByteAt(packed + which + j) & 63;
    const int low = ByteAt(packed + 4 + j) >> which & 15;
    return low | ByteAt(packed + which + j - 4) >> 6 << 4;
  }
};

struct FormatQ6_K {
  static constexpr int kChunkBytes = 210;
  static constexpr int kOffset = 32;
  static constexpr bool kHasMin = false;

  static Isa::B Unit(const std::byte* chunk, int u) {
    const std::byte* ql = chunk + u / 2 * 64;
    const std::byte* qh = chunk + 128 + u / 2 * 32;
    Isa::B w;
    for (int i = 0; i < 64; ++i) {
      const int low = ByteAt(ql + i) >> (u % 2 * 4) & 15;
      const int high = ByteAt(qh + i % 32) >> (u % 2 * 4 + i / 32 * 2) & 3;
      w.v[i] = static_cast<uint8_t>(low | high << 4);
    }
    return w;
  }
  static Isa::F Scales(const std::byte* chunk) {
    const float d = HalfAt(chunk + 208);
    return Isa::Each(
        [&](int g) { return d * static_cast<float>(ReadAs<int8_t>(chunk + 192 + g)); });
  }
};

struct Formats {
  using Q8_0 = FormatQ8_0;
  using Q4_0 = FormatQ4_0;
  using Q4_K = FormatQ4_K;
  using Q6_K = FormatQ6_K;
};

}  // namespace llmrun::portable
