#include "cli/generation_flags.h"

#include <sys/random.h>

#include <CLI/CLI.hpp>

#include "cli/output.h"

namespace llmrun {
namespace {

uint64_t RandomSeed() {
  uint32_t seed = 0;
  // Short on purpose: people type it back. A failure leaves 0, which is a seed as good as any.
  (void)::getrandom(&seed, sizeof seed, 0);
  return seed;
}

void AddSamplerFlags(CLI::App& command, SamplerOptions& s) {
  command.add_option("--temp", s.temperature, "temperature, 0 = always the likeliest token")
      ->capture_default_str();
  command.add_option("--top-k", s.top_k, "of the K likeliest tokens, 0 = all")
      ->capture_default_str();
  command.add_option("--top-p", s.top_p, "of the likeliest tokens that make up P")
      ->capture_default_str();
  command.add_option("--min-p", s.min_p, "at least P times as likely as the likeliest")
      ->capture_default_str();
  command.add_option("--repeat-penalty", s.repeat_penalty, "make repetition less likely, 1 = off")
      ->capture_default_str();
  command.add_option("--repeat-last-n", s.repeat_last_n, "tokens the penalty looks back")
      ->capture_default_str();
  command.add_option("-s,--seed", s.seed, "seed of the sampler, random when absent");
}

}  // namespace

void AddGenerationFlags(CLI::App& command, GenerationFlags& flags) {
  command.add_option("model_file", flags.positional_model, "the model, instead of -m");
  FromEnvironment(command.add_option("-n,--predict,--n-predict", flags.n_predict,
                                     "tokens to generate; -1 until the end, 0 only the prompt"),
                  {"LLMRUN_N_PREDICT", "LLAMA_ARG_N_PREDICT"});
  command.add_flag("--ignore-eos", flags.ignore_eos, "go on after the end of the text");
  command.add_flag("--special", flags.special, "show control tokens");
  command.add_flag("-q,--quiet", flags.quiet, "nothing but text (and errors)");
  AddModelOptions(command, flags.model);
  AddSamplerFlags(command, flags.sampler);
  AddSessionFlags(command, flags.session);
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
  if (!flags.has_seed) flags.sampler.seed = RandomSeed();
  if (!flags.positional_model.empty()) flags.model.path = flags.positional_model;
}

Result<EngineOptions> MakeEngineOptions(const GenerationFlags& flags, ProgressBar& bar) {
  EngineOptions engine;
  ASSIGN_OR_RETURN(engine.model_path, ModelPath(flags.model));
  ASSIGN_OR_RETURN(engine.load, MakeLoadOptions(flags.loader));
  ASSIGN_OR_RETURN(engine.workers, MakeWorkerOptions(flags.threads));
  engine.workers.tune_decode = true;
  engine.check_tensors = flags.check_tensors;
  if (!flags.quiet) {
    engine.load.progress = [&bar](const LoadProgress& p) {
      bar.Update(p.bytes_done, p.bytes_total, p.seconds);
    };
  }
  return engine;
}

GenerateOptions MakeGenerateOptions(const GenerationFlags& flags) {
  GenerateOptions generate;
  generate.max_tokens = flags.n_predict;
  generate.ignore_eos = flags.ignore_eos;
  generate.show_special = flags.special;
  return generate;
}

void NoteSeed(const GenerationFlags& flags) {
  if (flags.quiet || flags.has_seed || flags.sampler.temperature <= 0) return;
  Note("seed   {}", flags.sampler.seed);
}

}  // namespace llmrun
