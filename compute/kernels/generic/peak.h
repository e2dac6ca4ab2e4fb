// What an instruction set can do at most: multiply-adds that do not wait for each other, memory or
// anything else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa>
int64_t PeakInt8(int64_t rounds) {
  typename Isa::B w = Isa::SetBytes(1);
  typename Isa::B x = Isa::SetBytes(1);
  typename Isa::I sums[Isa::kPeakSums];
  LLMRUN_UNROLL for (int s = 0; s < Isa::kPeakSums; ++s) sums[s] = Isa::ZeroInts();
  for (int64_t i = 0; i < rounds; ++i) {
    LLMRUN_UNROLL for (int s = 0; s < Isa::kPeakSums; ++s) Isa::PeakDots(w, x, sums[s]);
  }
  return rounds * Isa::kPeakSums * Isa::kPeakDots * 64;
}

template <class Isa>
int64_t PeakF32(int64_t rounds) {
  typename Isa::F a = Isa::Set(0.5F);
  const typename Isa::F b = Isa::Set(0.5F);
  typename Isa::F sums[Isa::kPeakSums];
  LLMRUN_UNROLL for (int s = 0; s < Isa::kPeakSums; ++s) sums[s] = Isa::Zero();
  for (int64_t i = 0; i < rounds; ++i) {
    LLMRUN_UNROLL for (int s = 0; s < Isa::kPeakSums; ++s) {
      Isa::Keep(a);
      sums[s] = Isa::Fma(a, b, sums[s]);
      Isa::Keep(sums[s]);
    }
  }
  return rounds * Isa::kPeakSums * 16;
}

template <class Isa>
int64_t PeakBf16(int64_t rounds) {
  constexpr std::byte kZeros[64] = {};
  typename Isa::Bf16Pairs a = Isa::LoadBf16Pairs(kZeros);
  const typename Isa::Bf16Pairs b = Isa::LoadBf16Pairs(kZeros);
  typename Isa::F sums[Isa::kPeakSums];
  LLMRUN_UNROLL for (int s = 0; s < Isa::kPeakSums; ++s) sums[s] = Isa::Zero();
  for (int64_t i = 0; i < rounds; ++i) {
    LLMRUN_UNROLL for (int s = 0; s < Isa::kPeakSums; ++s) {
      Isa::KeepPairs(a);
      sums[s] = Isa::AddBf16Pairs(sums[s], a, b);
      Isa::Keep(sums[s]);
    }
  }
  return rounds * Isa::kPeakSums * 32;
}

}  // namespace llmrun::generic
