#include "cli/draft_flags.h"

#include <CLI/CLI.hpp>

#include "cli/common_options.h"

namespace llmrun {
namespace {

constexpr const char* kGroupDrafts = "Speculative decoding";  // of --help

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
  RETURN_IF_ERROR(MakeDraftSessionOptions(flags, {}));
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

Result<SessionOptions> MakeDraftSessionOptions(const DraftFlags& flags, SessionFlags session) {
  session.kv_type = flags.kv_type;
  session.kv_type_v = flags.kv_type_v;
  return MakeSessionOptions(session);
}

}  // namespace llmrun
