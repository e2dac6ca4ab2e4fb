// The "bert" kind: WordPiece. Each word (bert_words.h) is cut greedily into the longest tokens;
// one that cannot be is the unknown token as a whole. The first token of a word begins with U+2581.
//
// Sources: Schuster & Nakajima 2012, Devlin et al. 2019. Threads: as Tokenizer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_trie.h"
#include "text/tokenizer.h"

namespace llmrun {

class WpmTokenizer final : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);

 protected:
  void EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const override;
  std::string DecodeNormal(TokenId id) const override;

 private:
  explicit WpmTokenizer(TokenizerSpec complete);
  void EncodeWord(std::string_view marked, std::vector<TokenId>* ids) const;

  TokenTrie pieces_;
};

}  // namespace llmrun
