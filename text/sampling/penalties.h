// Makes tokens less likely that came among the last ones, and biases of single tokens.
//
// Sources: Keskar et al. 2019 (repetition penalty); presence and frequency as the API of the field
// defines them. Threads: Thread-compatible.
#pragma once

#include <deque>
#include <unordered_map>

#include "text/sampling/candidates.h"

namespace llmrun {

struct PenaltyOptions {
  int last_n = 64;      // how many tokens back; 0: off, -1: all of them
  float repeat = 1.0F;  // divides logits above 0, multiplies those below; 1: off
  float frequency = 0;  // taken off for every time that a token came; 0: off
  float presence = 0;   // taken off once; 0: off
};

class Penalties {
 public:
  explicit Penalties(const PenaltyOptions& options) : options_(options) {}

  void Accept(TokenId id);
  void Forget() {
    window_.clear();
    counts_.clear();
  }
  void Apply(Candidates* candidates) const;

 private:
  bool off() const {
    return options_.last_n == 0 ||
           (options_.repeat == 1 && options_.frequency == 0 && options_.presence == 0);
  }

  PenaltyOptions options_;
  std::deque<TokenId> window_;               // the last options_.last_n
  std::unordered_map<TokenId, int> counts_;  // of the tokens in it
};

}  // namespace llmrun
