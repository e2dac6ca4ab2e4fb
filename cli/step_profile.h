// Where the time of forward passes went, by the kind of step (--profile): how many steps there
// were, how long their work and the waiting for their end took, how much was done for others, and
// what that cost in system calls and context switches. Threads: Single-thread, between two regions
// of the pool.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "model/forward_plans.h"
#include "sched/thread_pool.h"

namespace llmrun {

struct StepProfile {
  // Summed over the members.
  struct ZoneTotals {
    uint64_t visits = 0;  // steps that a member took part in
    uint64_t units = 0;   // of its own home
    uint64_t helped_units = 0;
    double work_s = 0;
    double wait_s = 0;
  };
  std::array<ZoneTotals, kForwardZones> zones;
  uint64_t steps = 0;
  uint64_t sleeps = 0;  // futex calls to wait at the end of a step
  uint64_t wakes = 0;   // futex calls to wake others
  // Of the process.
  uint64_t voluntary_switches = 0;
  uint64_t involuntary_switches = 0;

  // Since the pool was made (switches: since the process began).
  static StepProfile Of(ThreadPool& pool);
  StepProfile Since(const StepProfile& before) const;
};

// Lines, each ending in '\n': figures for each of `count` passes, times as the average of `threads`
// threads. Requires: count >= 1, threads >= 1.
std::string ProfileText(const std::string& what, const StepProfile& profile, uint64_t count,
                        int threads);

}  // namespace llmrun
