// Choosing the next token from logits. Order of the steps: repetition penalty, top-k, top-p, min-p,
// temperature, draw. Temperature 0 (or top-k 1) is greedy: the first of the largest logits.
//
// Sources: Fan et al. 2018 (top-k), Holtzman et al. 2020 (top-p), Nguyen et al. 2024 (min-p),
// Keskar et al. 2019 (repetition penalty).
// Threads: Thread-compatible. The same seed, logits and history give the same tokens on every
// machine (own generator and float64 sums, no std:: distribution).
// Failure: Sample() returns kBadData when every logit is NaN or -infinity.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "base/error.h"
#include "text/token_id.h"

namespace llmrun {

struct SamplerOptions {
  float temperature = 0.8F;     // 0 = greedy
  int top_k = 40;               // <= 0: off
  float top_p = 0.95F;          // >= 1: off
  float min_p = 0.05F;          // <= 0: off
  float repeat_penalty = 1.0F;  // 1: off
  int repeat_last_n = 64;       // how many tokens back the penalty looks; 0: off
  uint64_t seed = 0;            // the caller draws one when the user gave none
};

class Sampler {
 public:
  // kUsage for values outside their range (negative temperature, penalty <= 0, NaN, ...).
  static Result<Sampler> Create(const SamplerOptions& options);

  Result<TokenId> Sample(std::span<const float> logits);  // [n_vocab]
  void Accept(TokenId id);                                // adds to the history of the penalty
  const SamplerOptions& options() const { return options_; }

 private:
  struct Candidate {
    TokenId id;
    float logit;
  };

  explicit Sampler(const SamplerOptions& options);
  uint64_t NextRandom();
  static bool Better(const Candidate& a, const Candidate& b);
  // The steps, each on candidates_ as the one before left them.
  void FillCandidates(std::span<const float> logits);  // all tokens, with the penalty
  void KeepTopK();
  void FillWeights(double temperature);
  void KeepTopP();
  void KeepMinP();

  SamplerOptions options_;
  uint64_t state_[4];
  std::deque<TokenId> history_;        // the last repeat_last_n
  std::vector<Candidate> candidates_;  // kept between calls for their memory only
  std::vector<double> weights_;        // [candidate]
};

}  // namespace llmrun
