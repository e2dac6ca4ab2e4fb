// Choosing the next token from logits: what a grammar does not allow is left out first; then
// biases, then the steps of the chain in their order, then a draw. With mirostat only biases and
// the temperature come before it.
//
// Temperature 0 (and no dynamic range) is greedy: the first of the largest logits.
// Threads: Thread-compatible. The same seed, logits and history give the same tokens on every
// machine (own generator and float64 sums, no std:: distribution).
// Failure: Sample() returns kBadData when every logit is NaN or -infinity, or when the grammar
// allows no token of the vocabulary; kResource when the grammar is over its limits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/grammar/constraint.h"
#include "text/sampling/candidates.h"
#include "text/sampling/dry.h"
#include "text/sampling/mirostat.h"
#include "text/sampling/penalties.h"
#include "text/sampling/random.h"
#include "text/sampling/steps.h"
#include "text/sampling/temperature.h"
#include "text/token_id.h"

namespace llmrun {

struct SamplerOptions {
  float temperature = 0.8F;     // 0 = greedy
  float dynatemp_range = 0;     // see TemperatureOptions
  float dynatemp_exponent = 1;  //
  int top_k = 40;               // <= 0: off
  float top_p = 0.95F;          // >= 1: off
  float min_p = 0.05F;          // <= 0: off
  float typical_p = 1.0F;       // >= 1: off
  float top_n_sigma = -1;       // <= 0: off
  float xtc_probability = 0;    // <= 0: off
  float xtc_threshold = 0.1F;   // > 0.5: off
  float repeat_penalty = 1.0F;  // 1: off
  float frequency_penalty = 0;  // 0: off
  float presence_penalty = 0;   // 0: off
  int repeat_last_n = 64;       // how many tokens back the penalties look; 0: off, -1: all
  DryOptions dry = {};
  MirostatOptions mirostat = {};
  std::unordered_map<TokenId, float> logit_bias = {};  // added; -infinity forbids
  std::vector<SamplerStep> steps = DefaultSamplerSteps();
  uint64_t seed = 0;  // the caller draws one when the user gave none
};

class Sampler {
 public:
  // The bytes of a token; needed for the breakers of DRY only.
  using TextOf = std::function<std::string(TokenId)>;

  // kUsage for values outside their range (negative temperature, penalty <= 0, NaN, ...).
  static Result<Sampler> Create(const SamplerOptions& options, TextOf text_of = {});

  // From now on only what the grammar allows.
  void Constrain(const GrammarConstraint& constraint) {
    constraint_ = constraint_at_start_ = constraint;
  }

  // Forgets all tokens, as if none had come; the draws go on.
  void Restart();

  Result<TokenId> Sample(std::span<const float> logits);  // [n_vocab]
  // A token that was drawn: adds to the history of the penalties, and to the grammar's text.
  void Accept(TokenId id);
  // A token of the prompt: adds to the history only.
  void AcceptPrompt(TokenId id);
  // The grammar's text is complete, and nothing may follow.
  bool AtEnd() const { return constraint_ && constraint_->AtEnd(); }
  const SamplerOptions& options() const { return options_; }

 private:
  Sampler(const SamplerOptions& options, TextOf text_of);
  Status ApplyConstraint(size_t n_vocab);
  bool GreedyOnly() const;
  void Run(SamplerStep step);
  TokenId Draw();

  SamplerOptions options_;
  Random random_;
  Penalties penalties_;
  Dry dry_;
  Mirostat mirostat_;
  std::optional<GrammarConstraint> constraint_;
  std::optional<GrammarConstraint> constraint_at_start_;
  Status accepted_;        // what the grammar said of the last tokens
  Candidates candidates_;  // kept between calls for its memory only
};

}  // namespace llmrun
