// A text cut into chunks of tokens, for what runs a model over it from end to end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "cli/common_options.h"
#include "cli/engine.h"
#include "cli/session_flags.h"
#include "cli/thread_options.h"
#include "text/token_id.h"
#include "text/tokenizer.h"

namespace llmrun {

// The options of such a command.
struct TextRunFlags {
  ModelOptions model;
  LoaderFlags loader;
  ThreadFlags threads;
  SessionFlags session;
  std::string file;
  int64_t chunks = -1;
};
void AddTextRunFlags(CLI::App& command, TextRunFlags& flags);
// Errors of the options and of Engine::Start().
Result<std::unique_ptr<Engine>> StartEngine(const TextRunFlags& flags);

struct TextChunks {
  std::vector<TokenId> tokens;  // of whole chunks
  uint32_t n_ctx = 0;           // tokens of each

  size_t count() const { return tokens.size() / n_ctx; }
  std::span<const TokenId> at(size_t i) const {
    return std::span(tokens).subspan(i * n_ctx, n_ctx);
  }
};

// Chunks of -c tokens, 512 when that is 0, and no more than flags.chunks of them, if that is
// positive. Errors: kUsage without a file or when the text is shorter than a chunk; those of
// reading it.
Result<TextChunks> ReadTextChunks(const TextRunFlags& flags, const Tokenizer& tokenizer);

// The token that a chunk begins with, where the vocabulary has one put there.
std::optional<TokenId> BosOf(const Tokenizer& tokenizer);

}  // namespace llmrun
