#include "cli/draft_flags.h"

#include <CLI/CLI.hpp>

#include "cli/common_options.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/report.h"
#include "model/model_drafter.h"

namespace llmrun {
namespace {

constexpr const char* kGroupDrafts = "Speculative decoding";  // of --help

// As the session's, but for the type of the cache.
Result<SessionOptions> DraftSessionOptions(const DraftFlags& flags, SessionFlags session) {
  session.kv_type = flags.kv_type;
  session.kv_type_v = flags.kv_type_v;
  return MakeSessionOptions(session);
}

}  // namespace

void AddDraftFlags(CLI::App& command, DraftFlags& flags) {
  const auto add = [&](CLI::Option* option, const char* type) {
    return option->type_name(type)->group(kGroupDrafts);
  };
  FromEnvironment(add(command.add_option("--model-draft,--spec-draft-model", flags.model,
                                         "a small model of the same vocabulary that guesses (-md)"),
                      "FILE"),
                  {"LLMRUN_MODEL_DRAFT", "LLAMA_ARG_MODEL_DRAFT"});
  add(command.add_option("--spec-type", flags.type,
                         "without such a model: guess from what was said before (ngram), or none"),
      "TYPE")
      ->capture_default_str();
  add(command.add_option("--spec-draft-n-max,--draft-max", flags.most,
                         "most tokens that are guessed at a time"),
      "N")
      ->capture_default_str();
  add(command.add_option("--spec-draft-p-min,--draft-p-min", flags.min_probability,
                         "least probability of a guess of the small model"),
      "P")
      ->capture_default_str();
  add(command.add_option("--cache-type-k-draft,--spec-draft-type-k", flags.kv_type,
                         "type of its KV cache (-ctkd), as -ctk"),
      "TYPE")
      ->capture_default_str();
  add(command.add_option("--cache-type-v-draft,--spec-draft-type-v", flags.kv_type_v,
                         "the same for V (-ctvd); as K when absent"),
      "TYPE");
}

Status CheckDraftFlags(const DraftFlags& flags) {
  if (flags.type != "none" && flags.type != "ngram") {
    return MakeFixableError(ErrorCode::kUsage, "none or ngram",
                            "--spec-type={}: there is no such way of guessing", flags.type);
  }
  if (flags.most < 1) {
    return MakeError(ErrorCode::kUsage, "--spec-draft-n-max {}: must be positive", flags.most);
  }
  if (!(flags.min_probability >= 0 && flags.min_probability <= 1)) {
    return MakeError(ErrorCode::kUsage, "--spec-draft-p-min {}: expected 0 to 1",
                     flags.min_probability);
  }
  RETURN_IF_ERROR(DraftSessionOptions(flags, {}));
  if (flags.model.empty()) return {};
  if (flags.type != "none") {
    return MakeFixableError(ErrorCode::kUsage, "one of them",
                            "-md {} and --spec-type={}: only one can guess", flags.model,
                            flags.type);
  }
  if (flags.model == "-") {
    return MakeFixableError(ErrorCode::kUsage, "save the draft model to a file, and name it",
                            "-md -: a draft model cannot come from standard input");
  }
  return {};
}

Result<Drafting> StartDrafting(const DraftFlags& flags, const Drafted& drafted) {
  Drafting drafting;
  if (flags.type == "ngram") drafting.drafter = std::make_unique<LookupDrafter>();
  if (flags.model.empty()) return drafting;
  EngineOptions options = drafted.options;
  options.model_path = flags.model;
  options.beside = &drafted.engine;
  options.load.progress = {};
  options.load.trace = nullptr;
  ASSIGN_OR_RETURN(drafting.engine, Engine::Start(options));
  RETURN_IF_ERROR(CheckSameTokens(drafted.engine.tokenizer->spec(),
                                  drafted.engine.index->metadata().label(),
                                  drafting.engine->tokenizer->spec(), flags.model));
  ASSIGN_OR_RETURN(SessionOptions session, DraftSessionOptions(flags, drafted.session_flags));
  session.n_ctx = drafted.session.n_ctx();
  session.interrupted = Interrupted;
  ASSIGN_OR_RETURN(drafting.session, drafting.engine->NewSession(session));
  drafting.drafter = std::make_unique<ModelDrafter>(*drafting.session, drafted.session.n_vocab(),
                                                    flags.min_probability);
  return drafting;
}

Status ShowDraftLoad(const Drafting& drafting, bool quiet) {
  if (drafting.engine == nullptr) return {};
  ASSIGN_OR_RETURN(const LoadReport report, drafting.engine->weights->Finish());
  if (quiet) return {};
  Note("draft  {}", drafting.engine->index->metadata().label());
  const std::string text = ReportText(report);
  NoteLine(std::string_view(text).substr(0, text.size() - 1));
  return {};
}

void NoteDrafts(int64_t right, int64_t all) {
  if (all == 0) return;
  Note("drafts {} of {} tokens were guessed right ({:.0f}%)", right, all,
       100 * static_cast<double>(right) / static_cast<double>(all));
}

}  // namespace llmrun
