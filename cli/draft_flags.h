// Speculative decoding from the command line: who guesses the tokens to come, and how much.
// Threads: before any thread is started.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "cli/session_flags.h"
#include "model/generator.h"
#include "model/session.h"

namespace llmrun {

struct DraftFlags {
  std::string model;          // -md: another model guesses; empty: none does
  std::string type = "none";  // or what was said before: ngram
  int64_t most = GenerateOptions{}.max_drafts;
  double min_probability = 0;  // of a guess of another model
  std::string kv_type = "f16";
  std::string kv_type_v;  // empty: as kv_type
};

void AddDraftFlags(CLI::App& command, DraftFlags& flags);

// kUsage for values that mean nothing or do not go together, kUnavailable for types of a cache that
// there are not. Looks at no file.
Status CheckDraftFlags(const DraftFlags& flags);

// As the session's, but for the type of the cache. Failure: as MakeSessionOptions().
Result<SessionOptions> MakeDraftSessionOptions(const DraftFlags& flags, SessionFlags session);

}  // namespace llmrun
