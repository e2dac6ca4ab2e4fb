// The random numbers of `synth`: the same seed gives the same ones everywhere.
// Threads: Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace llmrun {

// Sebastiano Vigna's SplitMix64 (public domain, 2015): a counter through a mixing function, which
// makes it a generator and a way to derive seeds.
class SynthRandom {
 public:
  explicit SynthRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  void FillBytes(std::span<std::byte> out) {
    for (; out.size() >= 8; out = out.subspan(8)) {
      const uint64_t word = Next();
      std::memcpy(out.data(), &word, 8);
    }
    const uint64_t word = out.empty() ? 0 : Next();
    std::memcpy(out.data(), &word, out.size());
  }

 private:
  uint64_t state_;
};

}  // namespace llmrun
