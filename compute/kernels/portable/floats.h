// The instruction set of any machine: sixteen floats.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compute/half.h"
#include "compute/kernels/portable/fma.h"
#include "compute/kernels/portable/vectors.h"

namespace llmrun::portable {

struct Floats : Vectors {
  template <typename Function>
  static F Each(Function function) {
    F r;
    for (int i = 0; i < kLanes; ++i) r.v[i] = function(i);
    return r;
  }

  static F Set(float x) {
    return Each([&](int) { return x; });
  }
  static F Zero() { return Set(0.0F); }
  static F Load(const float* at) {
    return Each([&](int i) { return at[i]; });
  }
  static F LoadF32(const std::byte* at) {
    return Each([&](int i) { return ReadAs<float>(at + i * 4); });
  }
  static F LoadF16(const std::byte* at) {
    return Each([&](int i) { return HalfToFloat(ReadAs<uint16_t>(at + i * 2)); });
  }
  static F LoadBf16(const std::byte* at) {
    return Each([&](int i) { return Bfloat16ToFloat(ReadAs<uint16_t>(at + i * 2)); });
  }
  // A half for all lanes.
  static F SpreadF16(const std::byte* at) { return Set(HalfToFloat(ReadAs<uint16_t>(at))); }
  static F LoadSigned(const std::byte* at) {
    return Each([&](int i) { return static_cast<float>(ReadAs<int8_t>(at + i)); });
  }
  // Of 16 bytes the four bits from bit kShift on, less 8.
  template <int kShift>
  static F LoadNibbles(const std::byte* at) {
    return Each(
        [&](int i) { return static_cast<float>((ReadAs<uint8_t>(at + i) >> kShift & 15) - 8); });
  }
  static void Store(float* at, F x) { std::memcpy(at, x.v, sizeof x.v); }
  static void StoreF16(std::byte* at, F x) {
    for (int i = 0; i < kLanes; ++i) {
      const uint16_t half = FloatToHalf(x.v[i]);
      std::memcpy(at + i * 2, &half, sizeof half);
    }
  }
  // Rounds to nearest, ties to even.
  static void StoreBf16(std::byte* at, F x) {
    for (int i = 0; i < kLanes; ++i) {
      const uint16_t rounded = FloatToBfloat16(x.v[i]);
      std::memcpy(at + i * 2, &rounded, sizeof rounded);
    }
  }
  // 32 BF16: in each lane two neighbours.
  struct Bf16Pairs {
    F even, odd;
  };
  static Bf16Pairs LoadBf16Pairs(const std::byte* at) {
    const auto half = [&](int i) { return Bfloat16ToFloat(ReadAs<uint16_t>(at + i * 2)); };
    return {Each([&](int i) { return half(2 * i); }), Each([&](int i) { return half(2 * i + 1); })};
  }
  // sum + both products of a lane, rounded after each, the odd one first.
  static F AddBf16Pairs(F sum, const Bf16Pairs& w, const Bf16Pairs& x) {
    return Fma(w.even, x.even, Fma(w.odd, x.odd, sum));
  }

  static F Add(F a, F b) {
    return Each([&](int i) { return a.v[i] + b.v[i]; });
  }
  static F Sub(F a, F b) {
    return Each([&](int i) { return a.v[i] - b.v[i]; });
  }
  static F Mul(F a, F b) {
    return Each([&](int i) { return a.v[i] * b.v[i]; });
  }
  static F Div(F a, F b) {
    return Each([&](int i) { return a.v[i] / b.v[i]; });
  }
  // a * b + c, rounded once.
  [[gnu::noinline]] static F Fma(const F& a, const F& b, const F& c) {
    return Each([&](int i) { return FusedMultiplyAdd(a.v[i], b.v[i], c.v[i]); });
  }
  // The second operand when either is NaN.
  static F Min(F a, F b) {
    return Each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
  }
  static F Max(F a, F b) {
    return Each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  // Lane i + lane i + 8, then + 4, + 2, + 1. A zero sum is +0.
  static float ReduceAdd(F x) {
    for (int step = kLanes / 2; step != 0; step /= 2) {
      for (int i = 0; i < step; ++i) x.v[i] += x.v[i + step];
    }
    return x.v[0] + 0.0F;
  }
  // ReduceAdd of four.
  static void StoreReduced(float* at, F a, F b, F c, F d) {
    at[0] = ReduceAdd(a);
    at[1] = ReduceAdd(b);
    at[2] = ReduceAdd(c);
    at[3] = ReduceAdd(d);
  }
  static float ReduceMax(F x) {
    for (int step = kLanes / 2; step != 0; step /= 2) {
      for (int i = 0; i < step; ++i) x.v[i] = x.v[i] > x.v[i + step] ? x.v[i] : x.v[i + step];
    }
    return x.v[0];
  }
  // x * 2^n, where shifted = 1.5 * 2^23 + n and |n| <= 160; in two steps, since 2^n itself may be
  // out of range. Anything when shifted is NaN, if x is.
  static F ScaleByPowerOfTwo(F x, F shifted) {
    return Each([&](int i) {
      const uint32_t offset = std::bit_cast<uint32_t>(shifted.v[i]) - 0x4B400000U;
      const int32_t n = static_cast<int32_t>(offset);
      const uint32_t half = static_cast<uint32_t>(n >> 1);
      const auto power = [](uint32_t e) { return std::bit_cast<float>((e + 127U) << 23); };
      return x.v[i] * power(half) * power(offset - half);
    });
  }

  // The bits of the largest |x| of all lanes of both.
  static uint32_t MaxMagnitudeBits(F a, F b) {
    uint32_t max = 0;
    for (int i = 0; i < kLanes; ++i) {
      const uint32_t x = std::bit_cast<uint32_t>(a.v[i]) & 0x7FFFFFFFU;
      const uint32_t y = std::bit_cast<uint32_t>(b.v[i]) & 0x7FFFFFFFU;
      max = x > max ? x : max;
      max = y > max ? y : max;
    }
    return max;
  }
  // Rounds to nearest, ties to even, and stores bytes; returns their sum. Requires: |x| < 127.5.
  static int16_t StoreRounded(int8_t* at, F x) {
    int sum = 0;
    for (int i = 0; i < kLanes; ++i) {
      const float shifted = x.v[i] + 0x1.8p23F;
      const auto bits = std::bit_cast<uint32_t>(shifted) - 0x4B400000U;
      at[i] = static_cast<int8_t>(static_cast<int32_t>(bits));
      sum += at[i];
    }
    return static_cast<int16_t>(sum);
  }
  static F Negate(F x) {
    return Each([&](int i) { return -x.v[i]; });
  }
};

}  // namespace llmrun::portable
