// The instruction set of any machine: sixteen integers, the dot products among them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compute/half.h"
#include "compute/kernels/portable/bytes.h"

namespace llmrun::portable {

struct Ints : Bytes {
  // The same bits.
  static F AsFloats(const B& x) {
    F r;
    std::memcpy(r.v, x.v, sizeof r.v);
    return r;
  }
  static F ToFloat(const I& x) {
    return Each([&](int i) { return static_cast<float>(x.v[i]); });
  }
  static B AsBytes(const I& x) {
    B r;
    std::memcpy(r.v, x.v, sizeof r.v);
    return r;
  }
  // Bytes, or four bytes each, `stride` bytes apart.
  static I GatherBytes(const std::byte* at, int64_t stride) {
    I r;
    for (int i = 0; i < kLanes; ++i) r.v[i] = static_cast<int>(at[i * stride]);
    return r;
  }
  static I WidenBytes(const std::byte* at) { return GatherBytes(at, 1); }
  static B GatherWords(const std::byte* at, int64_t stride) {
    B r;
    for (int i = 0; i < kLanes; ++i) std::memcpy(r.v + 4 * i, at + i * stride, 4);
    return r;
  }
  // 16 f16 values, `stride` bytes apart.
  static F GatherHalves(const std::byte* at, int64_t stride) {
    return Each([&](int i) { return HalfToFloat(ReadAs<uint16_t>(at + i * stride)); });
  }
  // Four f16 values, `stride` bytes apart, each for four lanes.
  static F FourHalves(const std::byte* at, int64_t stride) {
    return Each([&](int i) { return HalfToFloat(ReadAs<uint16_t>(at + i / 4 * stride)); });
  }
  // Of each four lanes, the i-th, four times.
  template <int i>
  static F Lane(const F& x) {
    return Each([&](int j) { return x.v[j / 4 * 4 + i]; });
  }
  // Lane 4i + j becomes lane 4j + i.
  static I TurnFours(const I& x) {
    I r;
    for (int i = 0; i < kLanes; ++i) r.v[i] = x.v[i % 4 * 4 + i / 4];
    return r;
  }
  // The same, for 16 neighbouring blocks of so many bytes, which may be read anywhere.
  template <int kStride>
  static F NeighbourHalves(const std::byte* at) {
    return GatherHalves(at, kStride);
  }
  // Lane 4i + u: the sum of lanes 4i..4i+3 of unit u.
  static I SumOfFours(const I (&units)[4]) {
    I r{};
    for (int i = 0; i < kLanes; ++i) {
      for (int j = 0; j < 4; ++j) r.v[i] += units[i % 4].v[i / 4 * 4 + j];
    }
    return r;
  }
  // Lanes 4i..4i+3: the sums of the two pairs of four lanes of a, then those of b.
  static I AddPairs(const I& a, const I& b) {
    I r;
    for (int i = 0; i < kLanes; ++i) {
      const I& from = i % 4 < 2 ? a : b;
      const int at = i / 4 * 4 + i % 2 * 2;
      r.v[i] = from.v[at] + from.v[at + 1];
    }
    return r;
  }
  // kBits bits of the four bytes of each lane, from bit kShift, or kShift + kStep x (lane % 4), on.
  template <int kShift, int kBits>
  static I Field(const B& x) {
    return Fields<kShift, 0, kBits>(x);
  }
  template <int kShift, int kStep, int kBits>
  static I Fields(const B& x) {
    I r;
    for (int i = 0; i < kLanes; ++i) {
      uint32_t word = 0;
      std::memcpy(&word, x.v + 4 * i, sizeof word);
      r.v[i] = static_cast<int32_t>(word >> (kShift + kStep * (i % 4)) & ((1U << kBits) - 1));
    }
    return r;
  }
  // Weights are stored as bytes w + kOffset, unsigned; x are signed. Adds to lane i the exact sum
  // of (w + kOffset) * x over bytes 4i..4i+3, so that a sum has to start at -kOffset * sum of x;
  // where HasStart() is false it adds w * x and starts at 0.
  template <int kOffset>
  static constexpr bool HasStart() {
    return kOffset != 0;
  }
  // Whether strips (generic/panel.h) have words, and the operations for that: StoreWide,
  // WidenEvenAndOdd, LoadWords, PairOfWords, AddWords.
  static constexpr bool kUsesWords = false;
  // Signed weights, as AddDot wants them.
  template <int kOffset>
  static B AddOffset(const B& x) {
    return EachByte([&](int i) { return x.v[i] + kOffset; });
  }
  // How many groups of 4 columns, of `groups`, have products that are added as pairs in 16 bits
  // (ShortDot, AddShorts) before AddPairsOfShorts, for weights up to kMost. 1: AddDot is the way.
  template <int kMost>
  static constexpr int Chain(int /*groups*/) {
    return 1;
  }
  template <int kOffset>
  static I AddDot(I sum, const B& w, const B& x) {
    for (int i = 0; i < 64; ++i) sum.v[i / 4] += w.v[i] * static_cast<int8_t>(x.v[i]);
    return sum;
  }
  // 16 values, or the sums of 16 pairs of them, times kFactor.
  template <int kFactor>
  static I Widen(const int16_t* at) {
    I r;
    for (int i = 0; i < kLanes; ++i) r.v[i] = kFactor * at[i];
    return r;
  }
  template <int kFactor>
  static I Pairs(const int16_t* at) {
    I r;
    for (int i = 0; i < kLanes; ++i) r.v[i] = kFactor * (at[2 * i] + at[2 * i + 1]);
    return r;
  }
  static I SetInt(int x) {
    I r;
    for (int32_t& lane : r.v) lane = x;
    return r;
  }
  static I ZeroInts() { return I{}; }
  static I SpreadInt(const int32_t* at) {
    I r;
    for (int32_t& lane : r.v) lane = *at;
    return r;
  }
  static I LoadInts(const int32_t* at) {
    I r;
    std::memcpy(r.v, at, sizeof r.v);
    return r;
  }
  static void StoreInts(int32_t* at, const I& x) { std::memcpy(at, x.v, sizeof x.v); }
  template <int n>
  static I ShiftIntsLeft(I x) {
    for (int32_t& lane : x.v) lane <<= n;
    return x;
  }
  static I AddInts(I a, const I& b) {
    for (int i = 0; i < kLanes; ++i) a.v[i] += b.v[i];
    return a;
  }
  static I MaxInts(I a, const I& b) {
    for (int i = 0; i < kLanes; ++i) a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    return a;
  }
  static I MulInts(I a, const I& b) {
    for (int i = 0; i < kLanes; ++i) a.v[i] *= b.v[i];
    return a;
  }
};

}  // namespace llmrun::portable
