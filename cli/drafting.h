// What guesses the tokens to come for a session that generates text: another model, or what was
// said before.
// Threads: Single-thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "cli/engine.h"
#include "cli/generation_flags.h"
#include "cli/load_watcher.h"
#include "model/drafter.h"
#include "model/session.h"

namespace llmrun {

struct Drafting {
  std::unique_ptr<Engine> engine;  // of the other model; null without one
  std::unique_ptr<LoadWatcher> watcher;
  std::unique_ptr<Session> session;
  std::unique_ptr<Drafter> drafter;  // null where nothing is to be guessed
};

// For a model that was started with these options, and its session. A draft model begins to load in
// the background as that did, and computes on its threads; `engine` must outlive it. Failure: as
// Engine::Start and Session::Create; CheckSameTokens.
Result<Drafting> StartDrafting(const GenerationFlags& flags, const EngineOptions& engine_options,
                               const Engine& engine, const Session& session);

// Waits for the draft model's load, unless interrupted, and shows its report; nothing without one.
// Failure: that of the load.
Status ShowDraftLoad(const Drafting& drafting, bool quiet);

// How many guesses were right, if there were any.
void NoteDrafts(int64_t right, int64_t all);

}  // namespace llmrun
