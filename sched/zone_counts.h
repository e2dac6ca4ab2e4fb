// What one member did in the steps of one kind, since the beginning.
// Threads: written by the member; may be read by others once it has been synchronized with.
#pragma once

#include <cstdint>

#include "sched/wait_site.h"

namespace llmrun {

struct ZoneCounts {
  uint64_t steps = 0;         // it took part in
  uint64_t helped_units = 0;  // of the homes of others
  uint64_t units = 0;         // of its own home
  int64_t work_ns = 0;
  WaitSite wait;          // for the end of the steps of which this is the last stage
  WaitSite wait_in_step;  // for earlier stages of theirs

  uint64_t sleeps() const { return wait.sleeps() + wait_in_step.sleeps(); }
  uint64_t waited_ns() const { return wait.waited_ns() + wait_in_step.waited_ns(); }
};

}  // namespace llmrun
