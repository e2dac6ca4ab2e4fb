// The options about threads that run, eval and bench share: how many, where, under which policy.
// Threads: before any thread is started.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "cli/workers.h"

namespace llmrun {

inline constexpr char kGroupThreads[] = "Threads";  // of --help

struct ThreadFlags {
  int threads = 0;        // 0: see DefaultThreads()
  int threads_batch = 0;  // 0: as threads
  std::string pin = "cores";
  std::string sched;  // empty: as they are
  bool share_cores = false;
};
// All of them; without -t and -tb, for commands that take lists of counts.
void AddThreadFlags(CLI::App& command, ThreadFlags& flags);
void AddPlacementFlags(CLI::App& command, ThreadFlags& flags);
// Only -t, for the commands without a model to run.
void AddThreadsOption(CLI::App& command, int& threads);

// kUsage for values that mean nothing, kUnavailable for policies that cannot be had.
Result<WorkerOptions> MakeWorkerOptions(const ThreadFlags& flags);

}  // namespace llmrun
