// The "t5" kind: SentencePiece Unigram. Of all ways to cut the normalized text into tokens, the one
// with the largest sum of scores. A character that no token covers is the unknown token (several in
// a row are one), or its bytes where the vocabulary has byte tokens.
//
// Normalization: what the file's character map says, spaces as U+2581, runs of them as one where
// remove_extra_whitespaces is set. Source: Kudo 2018, Kudo & Richardson 2018. Threads: as
// Tokenizer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_tokens.h"
#include "text/charsmap.h"
#include "text/token_trie.h"
#include "text/tokenizer.h"

namespace llmrun {

class UgmTokenizer final : public Tokenizer {
 public:
  // Besides what holds for all kinds: kBadData for a damaged character map, for byte tokens that
  // are not named <0xNN>, and for a vocabulary without scores.
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);

 protected:
  void EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const override;
  std::string DecodeNormal(TokenId id) const override;

 private:
  // The best way to reach a position of the text: its last token, and where that begins.
  struct Step {
    double score;
    size_t begin;
    TokenId id;
  };

  UgmTokenizer(TokenizerSpec complete, Charsmap charsmap);
  std::string Normalize(std::string_view text) const;
  std::vector<Step> BestSteps(std::string_view normalized) const;
  double ScoreOf(TokenId id) const;

  Charsmap charsmap_;
  ByteTokens byte_tokens_;
  TokenTrie pieces_;
  double unknown_score_ = 0;
};

}  // namespace llmrun
