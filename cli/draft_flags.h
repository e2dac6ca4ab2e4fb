// Speculative decoding from the command line: who guesses the tokens to come, and how much.
// Threads: the flags, before any thread is started; a Drafting, Single-thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "cli/engine.h"
#include "cli/session_flags.h"
#include "model/drafter.h"
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
// kUsage for values that mean nothing or do not go together; looks at no file.
Status CheckDraftFlags(const DraftFlags& flags);

// What guesses for one session.
struct Drafting {
  std::unique_ptr<Engine> engine;  // of the other model; null without one
  std::unique_ptr<Session> session;
  std::unique_ptr<Drafter> drafter;  // null where nothing is to be guessed
};

// Of the model that checks the guesses: what it was started with, and its session.
struct Drafted {
  const EngineOptions& options;
  const Engine& engine;
  const SessionFlags& session_flags;
  const Session& session;
};

// Starts the load of a draft model in the background, the same way as the model's, on the same
// threads; both must outlive it. Failure: as Engine::Start and Session::Create; CheckSameTokens.
Result<Drafting> StartDrafting(const DraftFlags& flags, const Drafted& drafted);

// Waits for the draft model's load and shows its report; nothing without one. Failure: that of the
// load.
Status ShowDraftLoad(const Drafting& drafting, bool quiet);
// How many guesses were right, if there were any.
void NoteDrafts(int64_t right, int64_t all);

}  // namespace llmrun
