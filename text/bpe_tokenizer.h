// The "gpt2" kind: byte-level BPE. The pre-tokenizer cuts the text into words; inside a word, bytes
// are joined by the list of merges, earliest first. Tokens are written in the GPT-2 byte map.
//
// Sources: Sennrich et al. 2016, Radford et al. 2019. Threads: as Tokenizer.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/merge_symbols.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace llmrun {

class BpeTokenizer final : public Tokenizer {
 public:
  // Besides what holds for all kinds: kUnavailable for an unknown pre-tokenizer; kBadData for a
  // merge that is not two parts, or whose parts or result are no tokens.
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);

 protected:
  void EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const override;
  std::string DecodeNormal(TokenId id) const override;

 private:
  struct PairHash {
    size_t operator()(uint64_t pair) const;
  };
  struct RankedMerge {
    uint32_t rank;
    TokenId id;
  };
  static uint64_t PairKey(TokenId left, TokenId right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }

  BpeTokenizer(TokenizerSpec complete, PreTokenizer pre);
  Status AddMerges();
  Status AddMerge(size_t rank);
  void EncodeWord(std::string_view word, MergeScratch* scratch, std::vector<TokenId>* ids) const;

  PreTokenizer pre_;
  std::array<TokenId, 256> byte_ids_;
  std::unordered_map<uint64_t, RankedMerge, PairHash> merges_;
};

}  // namespace llmrun
