// The cgroup directories that limit this process, of both versions.
// Source: cgroups(7), /proc/self/cgroup. Threads: Thread-safe (reads only).
#pragma once

#include <string>
#include <vector>

#include "memory/limits.h"

namespace llmrun {

// Each list begins with our own group and ends with the mount; empty where there is no such
// hierarchy. The path may name directories that are not visible here (no cgroup namespace): files
// in them are simply not found.
struct CgroupDirectories {
  std::vector<std::string> unified;  // v2
  std::vector<std::string> v1_memory;
  std::vector<std::string> v1_cpu;
  std::vector<std::string> v1_cpuset;
};
// Of the process, or ("thread-self") of the calling thread.
CgroupDirectories FindCgroups(const LimitRoots& roots, const std::string& whose = "self");

}  // namespace llmrun
