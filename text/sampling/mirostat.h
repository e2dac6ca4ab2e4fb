// Mirostat: cuts away so many unlikely tokens that the surprise of the drawn ones stays near a
// target. Version 1 estimates the slope of the probabilities, version 2 looks at the surprises.
//
// Source: Basu et al. 2021. Threads: Thread-compatible.
#pragma once

#include <span>

#include "text/sampling/candidates.h"

namespace llmrun {

struct MirostatOptions {
  int version = 0;               // 0: off, 1 or 2
  float target_surprise = 5.0F;  // tau, bits
  float learning_rate = 0.1F;    // eta
};

class Mirostat {
 public:
  explicit Mirostat(const MirostatOptions& options)
      : options_(options), limit_(2 * double{options.target_surprise}) {}

  // Requires: version 1 or 2. `n_vocab`: of the whole vocabulary.
  void Truncate(size_t n_vocab, Candidates* candidates);
  // The probability that the drawn token had among those left.
  void Drew(double probability);

 private:
  size_t CountBySlope(size_t n_vocab, std::span<const double> probabilities) const;

  MirostatOptions options_;
  double limit_;  // mu, bits
};

}  // namespace llmrun
