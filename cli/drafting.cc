#include "cli/drafting.h"

#include <string>
#include <string_view>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/report.h"
#include "model/model_drafter.h"

namespace llmrun {

Result<Drafting> StartDrafting(const GenerationFlags& flags, const EngineOptions& engine_options,
                               const Engine& engine, const Session& session) {
  Drafting drafting;
  if (flags.draft.type == "ngram") drafting.drafter = std::make_unique<LookupDrafter>();
  if (flags.draft.model.empty()) return drafting;
  EngineOptions options = engine_options;
  options.model_path = flags.draft.model;
  options.beside = &engine;
  options.load.progress = {};
  options.load.trace = nullptr;
  ASSIGN_OR_RETURN(drafting.engine, Engine::Start(options));
  drafting.watcher = std::make_unique<LoadWatcher>(*drafting.engine->weights, std::string());
  RETURN_IF_ERROR(CheckSameTokens(engine.tokenizer->spec(), engine.index->metadata().label(),
                                  drafting.engine->tokenizer->spec(), flags.draft.model));
  ASSIGN_OR_RETURN(SessionOptions session_options,
                   MakeDraftSessionOptions(flags.draft, flags.session));
  session_options.n_ctx = session.n_ctx();
  session_options.interrupted = Interrupted;
  ASSIGN_OR_RETURN(drafting.session, drafting.engine->NewSession(session_options));
  drafting.drafter = std::make_unique<ModelDrafter>(*drafting.session, session.n_vocab(),
                                                    flags.draft.min_probability);
  return drafting;
}

Status ShowDraftLoad(const Drafting& drafting, bool quiet) {
  if (drafting.engine == nullptr) return {};
  while (!drafting.watcher->WaitFor(0.1)) {
    if (Interrupted()) return {};
  }
  const Result<LoadReport>& report = drafting.watcher->Wait();
  RETURN_IF_ERROR(report);
  if (quiet) return {};
  Note("draft  {}", drafting.engine->index->metadata().label());
  const std::string text = ReportText(*report);
  NoteLine(std::string_view(text).substr(0, text.size() - 1));
  return {};
}

void NoteDrafts(int64_t right, int64_t all) {
  if (all == 0) return;
  Note("drafts {} of {} tokens were guessed right ({:.0f}%)", right, all,
       100 * static_cast<double>(right) / static_cast<double>(all));
}

}  // namespace llmrun
