// What the kernel and the cgroups leave this process of memory: how much can be taken without
// waking the OOM killer. (CPU time: memory/cpu_limits.h.)
//
// Sources: /proc/meminfo, nodeN/meminfo, vm.overcommit_memory, /proc/thread-self, and along the
// path of /proc/self/cgroup up to the root: memory.max (cgroup v2), memory.limit_in_bytes (v1).
// Threads: Thread-safe (reads only). The roots are parameters so that tests can bring their own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace llmrun {

struct LimitRoots {
  std::string proc = "/proc";
  std::string sysfs = "/sys";
  std::string cgroup = "/sys/fs/cgroup";
};

inline constexpr char kMemAvailable[] = "MemAvailable";

struct Limits {
  uint64_t total_bytes = 0;  // MemTotal
  // Smallest of MemAvailable, what each cgroup leaves, and, with vm.overcommit_memory=2, what may
  // still be promised.
  uint64_t available_bytes = 0;
  std::string available_source;  // who set it: kMemAvailable, the path of the cgroup's limit, ...
};

// A cgroup leaves its limit, less its usage, plus its page cache, which the kernel can reclaim.
// Hugetlb pages count neither as used nor as available here.
Result<Limits> ReadLimits(const LimitRoots& roots = {});

// Bytes that this thread may still lock (mlock(2)); nullopt: as many as there are.
std::optional<uint64_t> LockableBytes(const LimitRoots& roots = {});

// Memory of one node that can be taken: free, page cache and reclaimable slab, less 1/64 of the
// node for the watermarks that the kernel keeps; of the only node with memory, MemAvailable.
// nullopt where the node says nothing.
std::optional<uint64_t> NodeAvailableBytes(unsigned node, const LimitRoots& roots = {});

}  // namespace llmrun
