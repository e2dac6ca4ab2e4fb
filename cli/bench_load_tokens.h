// Time to text: from the beginning of a load to the first and the tenth token of a fixed prompt,
// the first layers computing while later ones are still being read, as `run` does it; and the same
// prompt once more when all weights are there.
// Threads: Single-thread. Failure: as Engine::Start() and Generate().
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/bench_load_measure.h"
#include "cli/bench_load_plan.h"

namespace llmrun {

// Seconds; one sample a round in each.
struct TokenTimes {
  std::vector<double> first;          // since the load began
  std::vector<double> tenth;          // since the load began
  std::vector<double> compute_alone;  // the prompt, without waiting for weights
  // Of the processor time that there was while the load and the prompt ran side by side: the share
  // that the process used or a hypervisor took. At 1 nothing more could be hidden behind the reads.
  std::vector<double> busy_share;
};

// Adds a sample. Fails (kUsage) for a model that is not run here or a prompt that it has no room
// for.
Status MeasureTokens(const Combination& combination, const std::string& model_path,
                     int prompt_tokens, const TensorIndex& index, const Machine& machine,
                     const CacheControl& cache, TokenTimes* times);

}  // namespace llmrun
