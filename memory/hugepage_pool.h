// The hugetlb pools of sysfs: status, top-up and release, per NUMA node, always read back (the
// kernel may grant fewer pages than written, silently).
//
// Threads: Single-thread (the pools are one resource of the whole machine).
// Failure: kUsage for a node or size that is not there, kOs without privilege (the fix is the exact
// command), kResource when the kernel granted fewer pages than asked; the pages granted stay.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "memory/machine.h"
#include "memory/node_set.h"
#include "memory/page_kind.h"

namespace llmrun {

struct PoolStatus {
  unsigned node = 0;
  PageKind kind = PageKind::k2M;  // k2M or k1G
  uint64_t total_pages = 0;
  uint64_t free_pages = 0;
};

// Every node x size the kernel has.
Result<std::vector<PoolStatus>> HugePoolStatus(const std::string& sysfs_root = "/sys");

struct PoolChange {
  unsigned node = 0;
  PageKind kind = PageKind::k2M;
  uint64_t pages = 0;
};
// Grows the pool until `pages` are free; what was done is read back. Returns pages added.
Result<uint64_t> ReserveHugePages(const PoolChange& change, const std::string& sysfs_root = "/sys");
// Gives back up to `pages` free pages. Returns pages released.
Result<uint64_t> ReleaseHugePages(const PoolChange& change, const std::string& sysfs_root = "/sys");

// "sudo llm-run hugepages reserve --size=1G --count=3 --node=0"
std::string ReserveCommand(const PoolChange& change);
// One for each node that so many pages fall to in equal parts; node 0 for none.
std::string ReserveCommand(const NodeSet& nodes, PageKind kind, uint64_t pages);

}  // namespace llmrun
