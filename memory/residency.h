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
#include <optional>
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

  uint64_t PlacedBytes() const;  // sum of node_bytes
  Residency& operator+=(const Residency& other);
};

// Requires: the range is mapped. `range` is widened to whole 4K pages. Exact where the range covers
// whole mappings, as an Arena or a mapped file does; of a mapping that it covers in part, huge
// pages are taken to be spread evenly. File mappings count pages in the page cache, mapped or not,
// where the kernel tells us (owner or writer of the file), else the pages we have touched. Nodes:
// exact up to 64 Ki base pages a mapping (and for hugetlb), beyond that from 64 Ki samples; pages
// of a file that is in memory as a whole are entered into our page table for that.
Result<Residency> InspectRange(std::span<const std::byte> range);
// The same without node_bytes: cheaper by the move_pages(2) calls.
Result<Residency> InspectPages(std::span<const std::byte> range);

// Bytes of the first `file_bytes` of a file that the page cache holds: cachestat(2) (6.5+), else
// mincore(2). nullopt for who neither owns the file nor may write it: the kernel does not tell.
Result<std::optional<uint64_t>> CachedBytes(int fd, uint64_t file_bytes);

// The same of a part of the file. nullopt where the kernel does not say of a part (before 6.5) or
// not to us.
std::optional<uint64_t> CachedBytesInRange(int fd, uint64_t offset, uint64_t bytes);

// Page faults of this process so far.
struct FaultCounts {
  uint64_t minor = 0;
  uint64_t major = 0;
};
FaultCounts ProcessFaults();

}  // namespace llmrun
