// Where a member is in the sequence of steps, and the counts at which the step it is at ends:
// totals over all steps (sched/team_progress.h), which every member adds up for itself. Threads: a
// value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sched/step_plan.h"

namespace llmrun {

struct StepPosition {
  struct Group {
    uint64_t target = 0;
    uint64_t units = 0;  // of this step
  };

  uint64_t next_step = 1;
  uint64_t target = 0;        // of everybody
  std::vector<Group> groups;  // of neighbours, see Team

  StepPosition() = default;
  StepPosition(uint64_t step, uint64_t base, int n_groups)
      : next_step(step), target(base), groups(static_cast<size_t>(n_groups)) {}

  // To the step that consists of these plans.
  template <typename... Plans>
  void Advance(const Plans&... plans) {
    ++next_step;
    target += (static_cast<uint64_t>(plans.total) + ...);
    for (size_t g = 0; g < groups.size(); ++g) {
      groups[g].units = (plans.group_units[g] + ...);
      groups[g].target += groups[g].units;
    }
  }
};

}  // namespace llmrun
