// llm-run run: prompt in, text out. The default command.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/stopwatch.h"
#include "cli/command.h"
#include "cli/drafting.h"
#include "cli/engine.h"
#include "cli/generation_flags.h"
#include "cli/interrupt.h"
#include "cli/kernel_cache.h"
#include "cli/load_watcher.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/prompt.h"
#include "cli/prompt_cache.h"
#include "cli/report.h"
#include "cli/step_profile.h"
#include "cli/thread_options.h"
#include "cli/trace_file.h"
#include "model/generator.h"

namespace llmrun {
namespace {

struct RunOptions {
  GenerationFlags generation;
  PromptOptions prompt;
  PromptCacheFlags cache;
  std::string positional_prompt;
  bool hide_prompt = false;
  bool profile = false;
  std::string trace;  // path of the timeline, empty for none
};

double PerSecond(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// Prints the prompt and the tokens as they come, the load report before the first of them.
class RunOutput {
 public:
  RunOutput(const RunOptions& options, const LoadWatcher& watcher, ProgressBar& bar,
            std::string prompt)
      : options_(options), watcher_(watcher), bar_(bar), prompt_(std::move(prompt)) {}

  // The report, if it is there soon enough: nobody waits for evidence while tokens could be read.
  void Begin(double wait_seconds) {
    if (begun_) return;
    begun_ = true;
    bar_.Clear();
    if (watcher_.WaitFor(wait_seconds)) ShowReport();
    if (!options_.hide_prompt) failure_ = WriteStdout(prompt_);
  }

  bool Show(std::string_view text) {
    Begin(0.1);
    if (failure_) failure_ = WriteStdout(text);
    return failure_.has_value() && !Interrupted();
  }

  // After the last token: what has not been shown yet.
  Status End() {
    Begin(0);
    if (failure_) failure_ = WriteStdout("\n");
    const Result<LoadReport>& report = watcher_.Wait();
    if (!report) return tl::unexpected<Error>(report.error());
    ShowReport();
    return failure_;
  }

 private:
  void ShowReport() {
    const Result<LoadReport>& report = watcher_.Wait();
    if (report_shown_ || options_.generation.quiet || !report) return;
    report_shown_ = true;
    const std::string text = ReportText(*report);
    NoteLine(std::string_view(text).substr(0, text.size() - 1));
  }

  const RunOptions& options_;
  const LoadWatcher& watcher_;
  ProgressBar& bar_;
  const std::string prompt_;
  bool begun_ = false;
  bool report_shown_ = false;
  Status failure_;
};

// What --profile shows: the pool's counts before the prompt, after it, and at the end.
struct ProfileMarks {
  StepProfile begin;
  std::optional<StepProfile> after_prompt;
};

void ShowProfile(const ProfileMarks& marks, const GenerateResult& result, const Engine& engine) {
  const TeamKeeper& keeper = *engine.workers.keeper;
  const StepProfile end = StepProfile::Of(*engine.workers.pool);
  const StepProfile& middle = marks.after_prompt ? *marks.after_prompt : end;
  const auto show = [](const std::string& text) {
    NoteLine(std::string_view(text).substr(0, text.size() - 1));
  };
  show(ProfileText(fmt::format("of the prompt, {} tokens together", result.prompt_tokens),
                   middle.Since(marks.begin), 1, keeper.threads(TeamUse::kPrompt)));
  const auto decoded = static_cast<uint64_t>(std::max<int64_t>(result.generated_tokens - 1, 0));
  if (decoded == 0) return;
  show(ProfileText(fmt::format("of each of {} decoded tokens", decoded), end.Since(middle), decoded,
                   keeper.threads(TeamUse::kDecode)));
}

void ShowTimes(const GenerateResult& result, const Engine& engine, const Session& session) {
  // The first token comes of the prompt: its time is no decoding.
  const int64_t decoded = result.generated_tokens - 1;
  Note("run    prompt {} tokens {:.1f} tok/s{}{}", result.prompt_tokens,
       PerSecond(result.prompt_tokens, result.prompt_seconds),
       decoded < 0 ? "" : fmt::format("   first token {:.3f} s", result.first_token_seconds),
       decoded < 1 ? ""
                   : fmt::format("   decode {} tokens {:.1f} tok/s", result.generated_tokens,
                                 PerSecond(decoded, result.generate_seconds)));
  const int threads = engine.workers.keeper->threads(TeamUse::kDecode);
  const int prompt_threads = engine.workers.keeper->threads(TeamUse::kPrompt);
  Note("with   isa {}  threads {}{}  context {}", NameOf(engine.isa), threads,
       prompt_threads == threads ? "" : fmt::format(" (prompt {})", prompt_threads),
       session.n_ctx());
  NoteDrafts(result.right_drafts, result.drafts);
  NoteTuned(session.tuned());
  if (result.stop == StopReason::kContextFull) {
    Note("note   stopped: the context of {} tokens is full; fix: -c {}", session.n_ctx(),
         2 * session.n_ctx());
  }
}

// "model.gguf prompt"; behind "-m model.gguf" only the prompt.
Status TakePositionals(RunOptions& options) {
  ModelOptions& model = options.generation.model;
  if (model.has_path && options.positional_prompt.empty()) {
    options.positional_prompt = std::exchange(model.positional, {});
  }
  if (options.positional_prompt.empty()) return {};
  if (options.prompt.has_text) {
    return MakeError(ErrorCode::kUsage, "two prompts are given: '{}' and -p '{}'",
                     options.positional_prompt, options.prompt.text);
  }
  options.prompt.text = options.positional_prompt;
  options.prompt.has_text = true;
  return {};
}

Result<int> Run(RunOptions& options) {
  CatchInterrupts();
  TraceLog trace;
  RETURN_IF_ERROR(TakePositionals(options));
  if (options.generation.model.given() == "-" && !options.prompt.has_text &&
      options.prompt.file.empty()) {
    return MakeFixableError(ErrorCode::kUsage, "llm-run -m - -p \"Once upon a time\"",
                            "standard input cannot be both the model and the prompt");
  }
  options.prompt.escape = options.generation.escape;
  ASSIGN_OR_RETURN(const std::string prompt, ReadPrompt(options.prompt));
  const Stopwatch since_start;  // who types a prompt does not wait for us
  ASSIGN_OR_RETURN(SamplerPlan sampler_plan, PlanSampler(options.generation.sampler));
  RETURN_IF_ERROR(CheckDraftFlags(options.generation.draft));
  ASSIGN_OR_RETURN(SessionOptions session_options, MakeSessionOptions(options.generation.session));
  ProgressBar bar("load");
  ASSIGN_OR_RETURN(EngineOptions engine_options, MakeEngineOptions(options.generation, bar));
  if (!options.trace.empty()) engine_options.load.trace = &trace;
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Start(engine_options));
  const LoadWatcher watcher(*engine->weights, options.generation.loader.report);
  session_options.interrupted = Interrupted;
  session_options.trace = engine_options.load.trace;
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, engine->NewSession(session_options));
  ASSIGN_OR_RETURN(const Drafting drafting,
                   StartDrafting(options.generation, engine_options, *engine, *session));
  ASSIGN_OR_RETURN(Sampler sampler, MakeSampler(std::move(sampler_plan), *engine->tokenizer));

  const std::vector<TokenId> ids =
      engine->tokenizer->Encode(prompt, {.add_special = true, .parse_special = true});
  RunOutput output(options, watcher, bar, prompt);
  GenerateOptions generate = MakeGenerateOptions(options.generation, drafting.drafter.get());
  ProfileMarks marks;
  ThreadPool& pool = *engine->workers.pool;
  if (options.profile) marks.begin = StepProfile::Of(pool);
  generate.on_text = [&](std::string_view text) {
    if (options.profile && !marks.after_prompt) marks.after_prompt = StepProfile::Of(pool);
    return output.Show(text);
  };
  NoteSeed(options.generation);
  RETURN_IF_ERROR(LoadPromptCache(options.cache, *session));
  const double before_generate_seconds = since_start.Seconds();
  Result<GenerateResult> result =
      GenerateReusing(*session, *engine->tokenizer, sampler, ids, generate);
  engine->workers.keeper->Rest();
  if (!result && !Interrupted()) return tl::unexpected<Error>(result.error());
  RETURN_IF_ERROR(output.End());
  RETURN_IF_ERROR(ShowDraftLoad(drafting, options.generation.quiet));
  if (result) {
    const auto prompt_tokens = static_cast<int64_t>(ids.size());
    RETURN_IF_ERROR(SavePromptCache(options.cache, prompt_tokens, *session));
  }
  if (!options.trace.empty()) RETURN_IF_ERROR(WriteTrace(trace, options.trace));
  if (result && !options.generation.quiet) {
    result->first_token_seconds += before_generate_seconds;
    ShowTimes(*result, *engine, *session);
    NoteChanges(*engine->workers.keeper);
    if (options.profile) ShowProfile(marks, *result, *engine);
  }
  if (Interrupted()) {
    Note("note   interrupted");
    return kInterruptedExit;
  }
  return 0;
}

void AddPromptFlags(CLI::App& command, RunOptions& options) {
  command.add_option("prompt_text", options.positional_prompt, "the prompt, instead of -p");
  command.add_option_function<std::string>(
      "-p,--prompt",
      [&options](const std::string& text) {
        options.prompt.text = text;
        options.prompt.has_text = true;
      },
      "the prompt; without it -f, or standard input");
  command.add_option("-f,--file", options.prompt.file, "file with the prompt, - for stdin");
  command.add_flag("--no-display-prompt", options.hide_prompt, "do not repeat the prompt");
}

}  // namespace

void AddRunCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "Generate text from a prompt (the default)")->group(kGroupGenerate);
  command->footer(
      "Tokens go to stdout, everything else to stderr. With --report=- the report is the first\n"
      "thing on stdout.\n"
      "examples:\n"
      "  llm-run -m model.gguf -p \"Once upon a time\" -n 64\n"
      "  llm-run --loader=io_uring --hugepages=1G -m model.gguf -f prompt.txt --report=load.json\n"
      "  echo \"Hello\" | llm-run -m model.gguf --temp 0");
  AddGenerationFlags(*command, options->generation);
  AddPromptFlags(*command, *options);
  AddPromptCacheFlags(*command, options->cache);
  command
      ->add_flag("--profile", options->profile,
                 "show where the time of prompt and decode went, by the kind of step")
      ->group(kGroupThreads);
  command
      ->add_option("--trace", options->trace,
                   "write a timeline of reads, pages and layers (Chrome trace JSON)")
      ->type_name("FILE")
      ->group(kGroupLoading);
  command->callback([options, command, &context] {
    context.action = [options, command] {
      CompleteGenerationFlags(*command, options->generation);
      const Result<int> exit_code = Run(*options);
      return exit_code ? *exit_code : ReportError(exit_code.error());
    };
  });
}

}  // namespace llmrun
