#include "cli/generation_flags.h"

#include <CLI/CLI.hpp>

#include "cli/output.h"
#include "cli/prompt.h"

namespace llmrun {

void AddGenerationFlags(CLI::App& command, GenerationFlags& flags) {
  FromEnvironment(command.add_option("-n,--predict,--n-predict", flags.n_predict,
                                     "tokens to generate; -1 until the end, 0 only the prompt"),
                  {"LLMRUN_N_PREDICT", "LLAMA_ARG_N_PREDICT"});
  command
      .add_option("-r,--reverse-prompt", flags.stop,
                  "stop at this text, which is not shown; may be repeated")
      ->type_name("TEXT")
      ->expected(1)
      ->take_all();
  command.add_flag("-e,--escape", flags.escape,
                   "\\n, \\t, \\xHH ... in -p and -r mean what they do in C");
  command.add_flag("--special", flags.special, "show control tokens");
  command.add_flag("-q,--quiet", flags.quiet, "nothing but text (and errors)");
  AddModelOptions(command, flags.model);
  AddSamplerFlags(command, flags.sampler);
  AddSessionFlags(command, flags.session);
  AddDraftFlags(command, flags.draft);
  AddThreadFlags(command, flags.threads);
  command.get_option("--threads")
      ->description("threads (default: one a core; fewer decode where measured to be faster)");
  AddLoaderFlags(command, flags.loader);
  AddReportFlag(command, flags.loader);
  command
      .add_flag("--check-tensors", flags.check_tensors,
                "refuse weights with NaN or infinities, looked for as they arrive")
      ->group(kGroupLoading);
}

void CompleteGenerationFlags(const CLI::App& command, GenerationFlags& flags) {
  flags.has_seed = command.count("--seed") > 0;
  flags.model.quiet = flags.quiet;
}

Result<EngineOptions> MakeEngineOptions(const GenerationFlags& flags, ProgressBar& bar) {
  EngineOptions engine;
  ASSIGN_OR_RETURN(engine.model_path, ModelPath(flags.model));
  ASSIGN_OR_RETURN(engine.load, MakeLoadOptions(flags.loader));
  ASSIGN_OR_RETURN(engine.workers, MakeWorkerOptions(flags.threads));
  engine.workers.tune_decode =
      flags.draft.model.empty();  // of two models in turn it learns nothing
  engine.check_tensors = flags.check_tensors;
  if (!flags.quiet) {
    engine.load.progress = [&bar](const LoadProgress& p) {
      bar.Update(p.bytes_done, p.bytes_total, p.seconds);
    };
  }
  return engine;
}

GenerateOptions MakeGenerateOptions(const GenerationFlags& flags, Drafter* drafter) {
  GenerateOptions generate;
  generate.max_tokens = flags.n_predict;
  generate.ignore_eos = flags.sampler.ignore_eos;
  generate.show_special = flags.special;
  generate.drafter = drafter;
  generate.max_drafts = flags.draft.most;
  for (const std::string& stop : flags.stop) {
    generate.stop.push_back(flags.escape ? Unescape(stop) : stop);
  }
  return generate;
}

void NoteSeed(const GenerationFlags& flags) {
  const SamplerOptions& options = flags.sampler.options;
  if (flags.quiet || flags.has_seed || options.temperature <= 0) return;
  Note("seed   {}", options.seed);
}

}  // namespace llmrun
