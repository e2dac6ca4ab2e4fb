// exp() and tanh() of 16 lanes.
#pragma once

#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// e^x within 1.5 units in the last place (tests/compute/layers_test), denormal results included;
// 0 below -104, infinity above 88.73, NaN for NaN. Cody and Waite's reduction x = n ln 2 + r,
// |r| <= ln 2 / 2; e^r = 1 + r + r^2 P(r) with P of degree 5 fitted for the least relative error
// (1.1e-9 after rounding its coefficients).
template <class Isa>
LLMRUN_INLINE typename Isa::F Exp(typename Isa::F x) {
  using F = typename Isa::F;
  constexpr float kRound = 0x1.8p23F;  // added, leaves the nearest integer in the low bits
  // Isa::Min and Max return their second operand when it is NaN.
  x = Isa::Max(Isa::Set(-105.0F), Isa::Min(Isa::Set(89.0F), x));
  const F shifted = Isa::Fma(x, Isa::Set(0x1.715476p+0F), Isa::Set(kRound));
  const F n = Isa::Sub(shifted, Isa::Set(kRound));
  F r = Isa::Fma(n, Isa::Set(-0x1.62e4p-1F), x);
  r = Isa::Fma(n, Isa::Set(-0x1.7f7d1cp-20F), r);
  F p = Isa::Set(0x1.9f0898p-13F);
  p = Isa::Fma(p, r, Isa::Set(0x1.6d8d06p-10F));
  p = Isa::Fma(p, r, Isa::Set(0x1.11127p-7F));
  p = Isa::Fma(p, r, Isa::Set(0x1.55548ep-5F));
  p = Isa::Fma(p, r, Isa::Set(0x1.555554p-3F));
  p = Isa::Fma(p, r, Isa::Set(0.5F));
  p = Isa::Fma(Isa::Mul(p, r), r, r);
  p = Isa::Add(p, Isa::Set(1.0F));
  return Isa::ScaleByPowerOfTwo(p, shifted);
}

// cap * tanh(x / cap), within 2^-22 of cap: tanh(y) = 1 - 2 / (1 + exp(2 y)).
template <class Isa>
LLMRUN_INLINE typename Isa::F Capped(typename Isa::F x, float cap) {
  using F = typename Isa::F;
  const F one = Isa::Set(1.0F);
  const F power = Exp<Isa>(Isa::Mul(x, Isa::Set(2.0F / cap)));
  return Isa::Mul(Isa::Set(cap), Isa::Sub(one, Isa::Div(Isa::Set(2.0F), Isa::Add(one, power))));
}

}  // namespace llmrun::generic
