// Evidence from the kernel about a range of our address space: which pages it is made of and on
// which NUMA node they lie. Nothing here is assumed; everything is read back.
//
// Sources: /proc/self/smaps (KernelPageSize, AnonHugePages) for sizes, move_pages(2) with no target
// nodes for places, mincore(2) for presence.
// Threads: Thread-safe (reads only).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "base/error.h"

namespace llmrun {

struct Residency {
  uint64_t bytes_4k = 0;  // base pages in memory (page cache included), without THP
  uint64_t bytes_thp = 0;
  uint64_t bytes_2m = 0;  // hugetlb
  uint64_t bytes_1g = 0;  // hugetlb
  uint64_t bytes_absent = 0;
  std::map<int, uint64_t> node_bytes;  // os_index of the node -> bytes; empty where not permitted

  Residency& operator+=(const Residency& other);
};

// Requires: the range is mapped. `range` is widened to whole pages.
Result<Residency> InspectRange(std::span<const std::byte> range);

// Bytes of a file (by descriptor) that the page cache holds, by mapping it and asking mincore(2).
Result<uint64_t> CachedBytes(int fd, uint64_t file_bytes);

// Page faults of this process so far.
struct FaultCounts {
  uint64_t minor = 0;
  uint64_t major = 0;
};
FaultCounts ProcessFaults();

}  // namespace llmrun
