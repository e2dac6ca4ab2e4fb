// Rotary position embedding: the cosines and sines of every position, computed in double precision
// and rounded once.
//
// Pair i of position p turns by  p * scale * base^(-2i / n_rot) / factor[i]  and becomes
// `magnitude` times as long. Source: Su et al. 2021 (RoFormer); the factors are those of
// Llama 3.1's rope_freqs.weight, or of LongRoPE (Ding et al. 2024), which has a magnitude, too.
//
// YaRN (Peng et al. 2023) scales some pairs only: not those that turn at least `beta_fast` times
// within the original context, wholly those that turn at most `beta_slow` times, and those between
// in part, growing linearly with the number of the pair. As llama.cpp does it, from whole pairs on.
//
// Threads: Thread-compatible; Cos() and Sin() are Thread-safe while nobody calls Grow().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace llmrun {

struct YarnParams {
  int64_t original_context = 0;
  double beta_fast = 32;
  double beta_slow = 1;
};

struct RopeParams {
  int64_t n_rot = 0;  // even
  double base = 10000;
  double scale = 1;
  double magnitude = 1;
  std::optional<YarnParams> yarn = {};
};

class RopeTable {
 public:
  // `factors` is [n_rot / 2], or empty for none.
  RopeTable(const RopeParams& params, std::span<const float> factors);

  // Makes positions [0, n) available.
  void Grow(int64_t n);
  // [n_rot / 2] each. Requires: 0 <= position < n of the last Grow().
  const float* Cos(int64_t position) const { return cos_.data() + position * half_; }
  const float* Sin(int64_t position) const { return sin_.data() + position * half_; }

 private:
  int64_t half_;
  double magnitude_;
  std::vector<double> frequencies_;  // [n_rot / 2], radians a position
  std::vector<float> cos_;           // [positions][n_rot / 2]
  std::vector<float> sin_;
};

// Those of a model's layers: the local ones may have another.
struct LayerRopes {
  RopeTable full;
  std::optional<RopeTable> local = {};

  const RopeTable& Of(bool is_local) const { return is_local && local ? *local : full; }
  void Grow(int64_t n) {
    full.Grow(n);
    if (local) local->Grow(n);
  }
};

}  // namespace llmrun
