// Byte tokens, named <0xNN>: how a SentencePiece vocabulary writes what it has no piece for.
// Source: Kudo & Richardson 2018 (byte fallback). Threads: immutable after construction.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace llmrun {

// The byte that a token named <0xNN> stands for.
std::optional<uint8_t> ParseByteToken(std::string_view text);

// kBadData for a token of the type "byte" whose name is not <0xNN>.
Status CheckByteTokens(const TokenizerSpec& spec);

class ByteTokens {
 public:
  // Requires: a spec that CheckByteTokens() has passed, with types.
  explicit ByteTokens(const TokenizerSpec& spec);

  // The bytes of one character; nothing when any of them has no token.
  bool Append(std::string_view bytes, std::vector<TokenId>* ids) const;

 private:
  std::array<TokenId, 256> ids_;  // kNoToken: the vocabulary has none
};

}  // namespace llmrun
