// A text cut into chunks of tokens, for what runs a model over it from end to end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/token_id.h"
#include "text/tokenizer.h"

namespace llmrun {

struct TextChunks {
  std::vector<TokenId> tokens;  // of whole chunks
  uint32_t n_ctx = 0;           // tokens of each

  size_t count() const { return tokens.size() / n_ctx; }
  std::span<const TokenId> at(size_t i) const {
    return std::span(tokens).subspan(i * n_ctx, n_ctx);
  }
};

// Chunks of `ctx_size` tokens, 512 when that is 0, and no more than `most` of them, if that is
// positive. Errors: kUsage without a file or when the text is shorter than a chunk; those of
// reading it.
Result<TextChunks> ReadTextChunks(const std::string& file, int64_t ctx_size, int64_t most,
                                  const Tokenizer& tokenizer);

// The token that a chunk begins with, where the vocabulary has one put there.
std::optional<TokenId> BosOf(const Tokenizer& tokenizer);

}  // namespace llmrun
