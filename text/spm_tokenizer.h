// The "llama" kind: SentencePiece BPE. Characters are joined as long as the result is a token, best
// score first; what is left over is written as byte tokens <0xNN>. Spaces are U+2581 inside.
// remove_extra_whitespaces has no effect on this kind, as in the programs these files are made for.
//
// Source: Kudo & Richardson 2018. Threads: as Tokenizer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_tokens.h"
#include "text/tokenizer.h"

namespace llmrun {

class SpmTokenizer final : public Tokenizer {
 public:
  // Besides what holds for all kinds: kBadData for a byte token whose name is not <0xNN>. Missing
  // byte tokens are no error: their bytes become the unknown token.
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);

 protected:
  void EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const override;
  std::string DecodeNormal(TokenId id) const override;

 private:
  explicit SpmTokenizer(TokenizerSpec complete);
  TokenId FindPlain(std::string_view text) const;  // a token that text may be joined to

  ByteTokens byte_tokens_;
  size_t longest_token_ = 0;  // bytes
};

}  // namespace llmrun
