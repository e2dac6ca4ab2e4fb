// One step along a row of F32, F16 or BF16 weights: 64 bytes of activations, in the form in which
// they meet the weights.
//   kCols                  columns of a step
//   Put(x, to)             the activations of a step
//   Weights, Load(at)      the weights of a step
//   Add(sum, w, x)         sum + w x in each lane
//
// BF16 weights meet activations that are rounded to BF16, two columns a lane, the odd one first, as
// the instruction VDPBF16PS does (Intel SDM, volume 2). It takes denormals for zeros whatever the
// thread's mode is: a thread that computes with them (flush_denormals.h) may get other bits on
// other levels.
#pragma once

#include <cstddef>

#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

inline constexpr int kStepBytes = 64;

template <class Isa, class Element>
struct FloatStep {
  using F = typename Isa::F;
  using Weights = F;
  using Tokens = F;
  static constexpr int kCols = kLanes;

  LLMRUN_INLINE static Weights Load(const std::byte* at) { return Element::Load(at); }
  LLMRUN_INLINE static Tokens LoadTokens(const std::byte* at) { return Isa::LoadF32(at); }
  LLMRUN_INLINE static F Add(F sum, Weights w, Tokens x) { return Isa::Fma(w, x, sum); }
  LLMRUN_INLINE static void Put(const float* x, std::byte* to) {
    __builtin_memcpy(to, x, kStepBytes);
  }
};

template <class Isa>
struct FloatStep<Isa, Bf16<Isa>> {
  using F = typename Isa::F;
  using Weights = typename Isa::Bf16Pairs;
  using Tokens = Weights;
  static constexpr int kCols = 2 * kLanes;

  LLMRUN_INLINE static Weights Load(const std::byte* at) { return Isa::LoadBf16Pairs(at); }
  LLMRUN_INLINE static Tokens LoadTokens(const std::byte* at) { return Isa::LoadBf16Pairs(at); }
  LLMRUN_INLINE static F Add(F sum, const Weights& w, const Tokens& x) {
    return Isa::AddBf16Pairs(sum, w, x);
  }
  LLMRUN_INLINE static void Put(const float* x, std::byte* to) {
    Isa::StoreBf16(to, Isa::Load(x));
    Isa::StoreBf16(to + kStepBytes / 2, Isa::Load(x + kLanes));
  }
};

}  // namespace llmrun::generic
