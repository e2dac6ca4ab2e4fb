// What cgroups leave this process of CPU time, and how often they stopped it. Cheap enough to be
// read again while running (some tens of microseconds).
//
// Sources: cpu.max, cpu.stat, cpuset.cpus.effective (cgroup v2); cpu.cfs_*, cpu.stat,
// cpuset.effective_cpus (v1), along the path of /proc/self/cgroup up to the root.
// Threads: Thread-safe (reads only).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "memory/limits.h"

namespace llmrun {

struct CpuLimits {
  std::optional<int> quota_cpus;  // floor of the smallest quota, at least 1; unset: no quota
  std::optional<std::vector<unsigned>> cpuset;  // CPUs we may run on; unset: nothing says so
  // Of the group with the quota (or of all above us together): periods in which it was stopped, and
  // for how long, summed over its CPUs.
  uint64_t throttled_periods = 0;
  double throttled_seconds = 0;

  bool operator==(const CpuLimits&) const = default;
};

CpuLimits ReadCpuLimits(const LimitRoots& roots = {});

}  // namespace llmrun
