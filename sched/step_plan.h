// How the work of one step is dealt out: what each member of a team is at home in, and how much
// that makes for each group of members (sched/team_progress.h). Made once, used many times.
// Threads: a value.
#pragma once

#include <cstdint>
#include <vector>

#include "sched/partition.h"

namespace llmrun {

// What a step is for, in counts and traces: an index into the caller's names.
using Zone = uint8_t;
inline constexpr Zone kMostZones = 16;

struct StepPlan {
  Zone zone = 0;
  int64_t total = 0;              // units of all homes together; a step of none is no step
  int64_t grain = 1;              // pieces are cut at multiples of it from where a home begins
  std::vector<Range> homes = {};  // [members]; they do not overlap; fewer than 2^24 grains each
  std::vector<uint64_t> group_units = {};  // [groups]
};

// One kind of work: work(piece) is called for pieces of homes.
template <typename Work>
struct Stage {
  const StepPlan& plan;
  Work work;
};
template <typename Work>
Stage(const StepPlan&, Work) -> Stage<Work>;

}  // namespace llmrun
