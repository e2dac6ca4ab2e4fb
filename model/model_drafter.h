// Guesses of a second, smaller model of the same vocabulary: what it would say, greedily, as long
// as it is sure enough. It keeps a cache of its own, which follows the text: what turned out
// otherwise is forgotten, and only what is new is computed.
//
// Source: Leviathan et al. 2023. Threads: Single-thread, that of its session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/drafter.h"
#include "model/session.h"
#include "text/token_id.h"
#include "text/tokenizer.h"

namespace llmrun {

class ModelDrafter final : public Drafter {
 public:
  // Of the guessing model; borrowed. `n_vocab`: of the model that checks, whose tokens may be more
  // or fewer. A guess whose probability is below `min_probability` is not made, nor any behind it.
  ModelDrafter(Session& session, int64_t n_vocab, double min_probability)
      : session_(session), n_vocab_(n_vocab), min_probability_(min_probability) {}

  // Failure: errors of Session::Forward. One that is interrupted guesses nothing: the other session
  // is about to be, too.
  Result<std::vector<TokenId>> Draft(std::span<const TokenId> tokens, size_t most) override;

 private:
  Session& session_;
  int64_t n_vocab_;
  double min_probability_;
};

// Whether the tokens of both have the same texts, as far as both have them: files differ in how
// many they add at the end to round their number up. kUsage, naming the first that differs; the
// `_label`s name the models.
Status CheckSameTokens(const TokenizerSpec& model, const std::string& model_label,
                       const TokenizerSpec& draft, const std::string& draft_label);

}  // namespace llmrun
