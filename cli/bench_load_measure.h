// One load, measured: its report, the state of the cache it began with, the memory it took, and how
// it went over time. Ctrl-C cancels it.
// Threads: Single-thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "cli/bench_load_plan.h"
#include "loader/index/tensor_index.h"
#include "loader/load_report.h"
#include "memory/arena.h"
#include "memory/machine.h"
#include "sched/thread_pool.h"

namespace llmrun {

// Of the model's files in the page cache, just before a load.
struct CacheState {
  uint64_t cached_bytes = 0;
  bool verified = false;  // cold: at most 1% is cached; warm: at least 99%
};

// How measurements get and see the state of the page cache they want.
struct CacheControl {
  std::function<Result<CacheState>(bool cold)> prepare;
  std::function<Result<uint64_t>()> cached_bytes;
};

struct LoadSample {
  LoadReport report;
  CacheState cache;
  // Most memory that the load took beyond what was taken before, pages it left in the cache
  // included (those of a mapping counted once). Unset where the kernel does not tell.
  std::optional<uint64_t> peak_bytes;
  std::vector<LoadProgress> progress;
  // After the load: all CPUs read every weight once, as the computation of a token would. Where a
  // load has left work for later (pages to map, to fetch), it is paid here.
  double pass_seconds = 0;
};

// A thread for each CPU, not pinned.
Result<std::unique_ptr<ThreadPool>> PoolOfAllCpus(const Machine& machine);

// Memory of this kind; every page of it touched, unless it is to be `fresh`.
Result<Arena> MakeArena(uint64_t bytes, HugePages pages, const Machine& machine, bool fresh);

// Touches memory of the size and kind that a load will take, and as much for the page cache, and
// gives it back. To be called right before what is timed: pages that a virtual machine has not used
// for a while cost its host a fault each, which would be measured instead. Where memory is short,
// the load is measured as it comes.
void TouchMemory(const TensorIndex& index, HugePages pages, const Machine& machine);

Result<LoadSample> MeasureLoad(const Combination& combination, const TensorIndex& index,
                               const Machine& machine, const CacheControl& cache);

}  // namespace llmrun
