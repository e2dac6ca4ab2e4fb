// The instruction set of any machine: what it can do at most, which is here what the compiler makes
// of the operations of the kernels.
#pragma once

#include "compute/kernels/portable/lookup.h"

namespace llmrun::portable {

struct Peak : Lookup {
  static constexpr int kPeakSums = 4;  // independent of each other
  static constexpr int kPeakDots = 1;  // products of 64 bytes for each sum

  // The compiler must have the value here, and no longer knows it.
  template <typename T>
  static void Keep(T& x) {
    asm volatile("" : "+m"(x));
  }
  static void KeepPairs(Bf16Pairs& x) {
    Keep(x.even);
    Keep(x.odd);
  }
  static void PeakDots(const B& w, B& x, I& sum) {
    Keep(x);
    sum = AddDot<0>(sum, w, x);
    Keep(sum);
  }
};

}  // namespace llmrun::portable
