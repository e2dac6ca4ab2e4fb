// What commands that generate text have in common: flags for the model, its loading, threads,
// context and sampling.
// Threads: before any thread is started.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "cli/common_options.h"
#include "cli/draft_flags.h"
#include "cli/engine.h"
#include "cli/progress.h"
#include "cli/sampler_flags.h"
#include "cli/session_flags.h"
#include "cli/thread_options.h"
#include "model/generator.h"

namespace llmrun {

struct GenerationFlags {
  ModelOptions model;
  LoaderFlags loader;
  ThreadFlags threads;
  SessionFlags session;
  SamplerFlags sampler;
  bool has_seed = false;
  int64_t n_predict = -1;
  std::vector<std::string> stop;  // texts that end the answer
  bool escape = false;            // \n, \xHH ... in `stop`, and in the prompt of `run`
  DraftFlags draft;
  bool special = false;
  bool check_tensors = false;
  bool quiet = false;
};

void AddGenerationFlags(CLI::App& command, GenerationFlags& flags);

// After parsing: whether a seed was given, and what is not to be said.
void CompleteGenerationFlags(const CLI::App& command, GenerationFlags& flags);

// `bar` shows the load unless it is to be quiet, and must outlive the engine.
Result<EngineOptions> MakeEngineOptions(const GenerationFlags& flags, ProgressBar& bar);
// The drafter is borrowed, null for none.
GenerateOptions MakeGenerateOptions(const GenerationFlags& flags, Drafter* drafter);

// The seed that was drawn, so that it can be typed back.
void NoteSeed(const GenerationFlags& flags);

}  // namespace llmrun
