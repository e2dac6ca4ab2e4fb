// The sampler's own generator: the same seed gives the same tokens on every machine, which the
// distributions of the standard library do not promise.
//
// Sources: Blackman & Vigna 2021 (xoshiro256**), Steele, Lea & Flood 2014 (splitmix64).
// Threads: Thread-compatible.
#pragma once

#include <cstdint>

namespace llmrun {

class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t Next();
  // In [0, 1): 53 random bits, every value equally likely.
  double NextUnit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_[4];
};

}  // namespace llmrun
