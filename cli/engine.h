// Everything a command needs to run a model, made in the order in which it costs time: the machine
// and the model's numbers first (so that bad input is refused before anything is read), then the
// load in the background, and beside it the tokenizer and the threads.
// Threads: Single-thread. Members are destroyed in the reverse order, as their uses demand.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/stopwatch.h"
#include "compute/kernels.h"
#include "loader/io/model_stream.h"
#include "loader/load_options.h"
#include "loader/weights.h"
#include "memory/machine.h"
#include "memory/node_set.h"
#include "model/model_config.h"
#include "model/session.h"
#include "sched/thread_pool.h"
#include "text/tokenizer.h"

namespace llmrun {

// The instruction set to run with: what LLM_RUN_ISA names, else the best. Fails as ChooseIsa().
Result<IsaLevel> WantedIsa();

struct EngineOptions {
  std::string model_path;  // "-": standard input
  LoadOptions load;
  int threads = 0;             // 0: one for each core that this process may use
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
  std::unique_ptr<ThreadPool> pool;

  // Threads that 0 stands for: cores of these nodes (none: of the machine) that this process may
  // use, at most what its cgroup grants.
  static int DefaultThreads(const Machine& machine, const NodeSet& nodes);
  // A pool pinned to CPUs of these nodes (none: of the machine), of DefaultThreads() members for 0;
  // never of more than there are CPUs for us (one line says so). kUsage when the count is
  // outside 1..ThreadPool::kMaxThreads.
  static Result<std::unique_ptr<ThreadPool>> MakePool(const Machine& machine, const NodeSet& nodes,
                                                      int threads);
  // One line when rows or copies lie on nodes where no thread of the pool works: they are read from
  // afar, or not at all.
  static void NoteNodesWithoutThreads(const PlacementPlan& plan, const ThreadPool& pool);
  static Result<std::unique_ptr<Engine>> Start(const EngineOptions& options);

  Result<std::unique_ptr<Session>> NewSession(SessionOptions options);
};

}  // namespace llmrun
