// What loading can at best be: the device's rate (fio) for cold loads, the rate of copying out of
// the page cache for warm ones, into memory that is there already and into memory that is new
// (whose pages the kernel clears first, as it does for every load). Measured once in each round,
// between the loads, so that a machine that is slow for a while is slow for both.
//
// Threads: Single-thread. Failure: a limit that is not to be had here is a note and no series; what
// fails later is an error.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/error.h"
#include "cli/bench_load_plan.h"
#include "cli/output.h"
#include "loader/index/tensor_index.h"
#include "memory/machine.h"

namespace llmrun {

enum class LimitKind { kDevice, kMemory, kFreshMemory };
const char* NameOf(LimitKind kind);  // "device", "memory", "fresh memory"

struct LimitSeries {
  LimitKind kind = LimitKind::kDevice;
  HugePages hugepages = HugePages::kAuto;   // of the memory copied to
  std::function<Result<double>()> measure;  // bytes per second, now
  Json how;                                 // for the record
  std::vector<double> bytes_per_second;     // one a round

  Json ToJson() const;  // requires a sample
};

// The limits that these combinations have. `index` and `machine` are borrowed.
std::vector<LimitSeries> PrepareLimits(const std::vector<Combination>& combinations,
                                       const TensorIndex& index, const Machine& machine);

// The one that a combination is held against; nullptr when there is none. A warm mmap, which copies
// nothing, is held against copying all the same; `resident` against nothing.
const LimitSeries* LimitOf(const Combination& combination, const std::vector<LimitSeries>& limits);
// Copying into new memory; nullptr for cold combinations and those that take none.
const LimitSeries* FreshLimitOf(const Combination& combination,
                                const std::vector<LimitSeries>& limits);

}  // namespace llmrun
