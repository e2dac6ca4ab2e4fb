// Everything a command needs to run a model, made in the order in which it costs time: the machine
// and the model's numbers first (so that bad input is refused before anything is read), then the
// load in the background, and beside it the tokenizer and the threads.
// Threads: Single-thread. Members are destroyed in the reverse order, as their uses demand.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/stopwatch.h"
#include "cli/workers.h"
#include "compute/kernels.h"
#include "loader/io/model_stream.h"
#include "loader/load_options.h"
#include "loader/weights.h"
#include "memory/machine.h"
#include "model/model_config.h"
#include "model/session.h"
#include "text/tokenizer.h"

namespace llmrun {

// The instruction set to run with: what LLM_RUN_ISA names, else the best. Fails as ChooseIsa().
Result<IsaLevel> WantedIsa();

struct Engine;

struct EngineOptions {
  std::string model_path;  // "-": standard input
  LoadOptions load;
  WorkerOptions workers = {};
  // Whose threads are shared, in place of `workers`; borrowed. The two compute in turn.
  const Engine* beside = nullptr;
  bool check_tensors = false;  // refuse weights that are not finite, as they arrive
};

struct Engine {
  Machine machine;
  IsaLevel isa = IsaLevel::kPortable;
  std::unique_ptr<ModelStream> stream;  // of a model from standard input
  std::unique_ptr<TensorIndex> index;
  ModelConfig config;
  Stopwatch since_load;  // from the beginning of the load
  std::unique_ptr<Weights> weights;
  std::unique_ptr<Tokenizer> tokenizer;
  Workers workers;

  static Result<std::unique_ptr<Engine>> Start(const EngineOptions& options);

  // Which has the workers' teams brought in line before each of its batches.
  Result<std::unique_ptr<Session>> NewSession(SessionOptions options);
};

}  // namespace llmrun
