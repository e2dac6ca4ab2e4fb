// Which tokens of a vocabulary a grammar allows next. A token that ends the answer is allowed where
// the text is complete; other control tokens, and tokens without text, never.
//
// The vocabulary is sorted by its tokens' bytes, so that what tokens begin with is followed once
// for all of them, and where that is not allowed, they are skipped together. Where a byte leads is
// found out once (position_table.h), and answers are kept for positions that come again, as inside
// a string.
//
// Threads: Thread-compatible. Copies share the grammar and the sorted vocabulary, nothing else.
// Failure: kResource when the grammar is too ambiguous for the limits of GrammarMatcher.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/grammar/grammar.h"
#include "text/grammar/position_table.h"
#include "text/tokenizer.h"

namespace llmrun {

class GrammarConstraint {
 public:
  static Result<GrammarConstraint> Create(Grammar grammar, const Tokenizer& tokenizer);

  // [token]; valid until the next call of a method that is not const.
  Result<const std::vector<bool>*> Allowed();
  // Requires: a token that is allowed.
  Status Accept(TokenId id);
  // The text is complete, and no byte may follow.
  bool AtEnd() const { return table_.IsComplete(position_) && !table_.MayGoOn(position_); }

 private:
  struct SortedToken {
    TokenId id;
    uint32_t begin;  // of its bytes in `bytes`
    uint32_t length;
    uint32_t shared;  // bytes at the beginning that it has in common with the one before
  };
  struct Vocabulary {
    std::string bytes;
    std::vector<SortedToken> tokens;  // those with text, in the order of their bytes
    std::vector<uint32_t> places;     // [token]: index of `tokens`, or kNoPlace
    std::vector<TokenId> ends;        // tokens that end the answer
    std::string_view TextOf(const SortedToken& token) const {
      return std::string_view(bytes).substr(token.begin, token.length);
    }
  };
  static constexpr uint32_t kNoPlace = 0xFFFFFFFF;
  struct Answer {
    PositionTable::Id position = PositionTable::kNowhere;
    std::vector<bool> allowed;
  };

  GrammarConstraint(Grammar grammar, std::shared_ptr<const Vocabulary> vocabulary);
  static Vocabulary Sort(const Tokenizer& tokenizer);
  bool FillAllowed(std::vector<bool>* allowed);
  void ForgetAnswers();

  std::shared_ptr<const Vocabulary> vocabulary_;
  PositionTable table_;
  PositionTable::Id position_ = PositionTable::kNowhere;
  std::vector<PositionTable::Id> after_;  // [bytes of the token that is looked at]
  std::vector<Answer> answers_;
  size_t next_answer_ = 0;  // which is replaced next
};

}  // namespace llmrun
