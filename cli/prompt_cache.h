// --prompt-cache: a session kept in a file between runs, so that a prompt that begins as the last
// one did is not computed again.
// Threads: Single-thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "model/session.h"

namespace llmrun {

struct PromptCacheFlags {
  std::string file;
  bool all = false;        // what was generated, too
  bool read_only = false;  // the file stays as it is
};

void AddPromptCacheFlags(CLI::App& command, PromptCacheFlags& flags);

// What the file holds, into the session; nothing where there is no file yet.
Status LoadPromptCache(const PromptCacheFlags& flags, Session& session);
// The first `prompt_tokens` of the session, or with `all` what it holds.
Status SavePromptCache(const PromptCacheFlags& flags, int64_t prompt_tokens, Session& session);

}  // namespace llmrun
