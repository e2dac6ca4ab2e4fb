// What a cache of keys and values holds, as floats: KvRows in compute/kernels.h says how it lies.
//   kBlock, kBlockBytes    elements of one scale, and what they take in one row
//   Scale, KeyScale(b)     what the keys of a block have in common, of 16 positions
//   Key(b, i, scale)       the i-th element of a block of keys, of 16 positions
//   Value(row, i)          elements 16i..16i+15 of one value
//   Encode(x, out)         kUnit elements of one row, as the row has them
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/quantize.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa>
void StoreFloats(std::byte* at, typename Isa::F x, const F32<Isa>&) {
  float values[kLanes];
  Isa::Store(values, x);
  __builtin_memcpy(at, values, sizeof values);
}
template <class Isa>
void StoreFloats(std::byte* at, typename Isa::F x, const F16<Isa>&) {
  Isa::StoreF16(at, x);
}
template <class Isa>
void StoreFloats(std::byte* at, typename Isa::F x, const Bf16<Isa>&) {
  Isa::StoreBf16(at, x);
}

template <class Isa>
void EncodeScale(float scale, std::byte* out) {
  std::byte halves[2 * kLanes];
  Isa::StoreF16(halves, Isa::Set(scale));
  __builtin_memcpy(out, halves, 2);
}

// Element: F32, F16 or Bf16.
template <class Isa, class Element>
struct CachedFloats {
  using F = typename Isa::F;
  struct Scale {};
  static constexpr int kBlock = 1;
  static constexpr int kBlockBytes = Element::kBytes;
  static constexpr int kUnit = kLanes;

  LLMRUN_INLINE static Scale KeyScale(const std::byte* /*block*/) { return {}; }
  LLMRUN_INLINE static F Key(const std::byte* block, int /*i*/, Scale) {
    return Element::Load(block);
  }
  LLMRUN_INLINE static F Value(const std::byte* row, int64_t i) {
    return Element::Load(row + i * kLanes * Element::kBytes);
  }
  static void Encode(const float* x, std::byte* out) {
    StoreFloats<Isa>(out, Isa::Load(x), Element{});
  }
};

template <class Isa>
struct CachedQ8_0 {
  using F = typename Isa::F;
  using Scale = F;
  static constexpr int kBlock = 32;
  static constexpr int kBlockBytes = 34;
  static constexpr int kUnit = kBlock;

  LLMRUN_INLINE static Scale KeyScale(const std::byte* block) { return Isa::LoadF16(block); }
  LLMRUN_INLINE static F Key(const std::byte* block, int i, Scale scale) {
    return Isa::Mul(Isa::LoadSigned(block + 2 * kLanes + i * kLanes), scale);
  }
  LLMRUN_INLINE static F Value(const std::byte* row, int64_t i) {
    const std::byte* block = row + i / 2 * kBlockBytes;
    return Isa::Mul(Isa::LoadSigned(block + 2 + i % 2 * kLanes), Isa::SpreadF16(block));
  }
  static void Encode(const float* x, std::byte* out) {
    int8_t q[kBlock];
    float scale = 0;
    int16_t sums[2];
    QuantizeBlock<Isa>(x, q, &scale, sums);
    EncodeScale<Isa>(scale, out);
    __builtin_memcpy(out + 2, q, sizeof q);
  }
};

template <class Isa>
struct CachedQ4_0 {
  using F = typename Isa::F;
  using Scale = F;
  static constexpr int kBlock = 32;
  static constexpr int kBlockBytes = 18;
  static constexpr int kUnit = kBlock;

  LLMRUN_INLINE static Scale KeyScale(const std::byte* block) { return Isa::LoadF16(block); }
  LLMRUN_INLINE static F Key(const std::byte* block, int i, Scale scale) {
    const std::byte* at = block + 2 * kLanes + i % 16 * kLanes;
    return Isa::Mul(i < 16 ? Isa::template LoadNibbles<0>(at) : Isa::template LoadNibbles<4>(at),
                    scale);
  }
  LLMRUN_INLINE static F Value(const std::byte* row, int64_t i) {
    const std::byte* block = row + i / 2 * kBlockBytes;
    const F q = i % 2 == 0 ? Isa::template LoadNibbles<0>(block + 2)
                           : Isa::template LoadNibbles<4>(block + 2);
    return Isa::Mul(q, Isa::SpreadF16(block));
  }
  static void Encode(const float* x, std::byte* out) {
    const uint32_t max_bits = Isa::MaxMagnitudeBits(Isa::Load(x), Isa::Load(x + kLanes));
    float largest = 0;  // with its sign
    for (int i = kBlock - 1; i >= 0; --i) {
      uint32_t bits = 0;
      __builtin_memcpy(&bits, x + i, sizeof bits);
      if ((bits & 0x7FFFFFFFU) == max_bits) largest = x[i];
    }
    float scale = largest / -8.0F;
    float factor = 1.0F / scale;
    const bool finite = max_bits < kInfinityBits;
    if (!finite) scale = __builtin_nanf("");
    const float magnitude = scale < 0 ? -scale : scale;
    if (magnitude < __FLT_MIN__) scale = 0;
    if (!(magnitude >= __FLT_MIN__)) factor = 0;
    EncodeScale<Isa>(scale, out);
    uint8_t q[kBlock];
    for (int i = 0; i < kBlock; ++i) {
      const int rounded = static_cast<int>((finite ? x[i] : 0.0F) * factor + 8.5F);
      q[i] = static_cast<uint8_t>(rounded < 15 ? rounded : 15);
    }
    for (int i = 0; i < kBlock / 2; ++i) {
      out[2 + i] = static_cast<std::byte>(q[i] | q[i + kBlock / 2] << 4);
    }
  }
};

template <class Isa, class Elements>
constexpr int64_t KvRowBytesOf(int64_t head_dim) {
  return (head_dim + kLanes - 1) / kLanes * kLanes / Elements::kBlock * Elements::kBlockBytes;
}

// Calls body(elements) with one of the above.
template <class Isa, class Body>
void WithKvType(DType type, Body body) {
  switch (type) {
    case DType::kF32:
      return body(CachedFloats<Isa, F32<Isa>>{});
    case DType::kBF16:
      return body(CachedFloats<Isa, Bf16<Isa>>{});
    case DType::kQ8_0:
      return body(CachedQ8_0<Isa>{});
    case DType::kQ4_0:
      return body(CachedQ4_0<Isa>{});
    default:
      return body(CachedFloats<Isa, F16<Isa>>{});
  }
}

}  // namespace llmrun::generic
