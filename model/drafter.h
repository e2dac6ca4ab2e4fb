// Guesses of the tokens to come, which a model then checks all together: several tokens cost it
// little more than one (speculative decoding). Guesses cost time where they are wrong, never truth:
// what is generated is what would have been without them.
//
// Source: Leviathan et al. 2023; Saxena 2023 (prompt lookup). Threads: Single-thread.
// Failure: errors of what a drafter reads or computes; that it has no guess is none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "text/token_id.h"

namespace llmrun {

class Drafter {
 public:
  virtual ~Drafter() = default;
  // At most `most` tokens that may come behind `tokens`: all of prompt and answer so far. Of the
  // vocabulary, as those are.
  virtual Result<std::vector<TokenId>> Draft(std::span<const TokenId> tokens, size_t most) = 0;
};

// What followed when the last three tokens, or the last two, came before.
class LookupDrafter final : public Drafter {
 public:
  Result<std::vector<TokenId>> Draft(std::span<const TokenId> tokens, size_t most) override;

 private:
  // Of the rows of tokens that have been seen: where the last of each went on. Rows that share a
  // key are taken for one another, which makes a bad guess.
  std::unordered_map<uint64_t, size_t> behind_;
  size_t seen_ = 0;  // tokens whose rows are in it
};

}  // namespace llmrun
