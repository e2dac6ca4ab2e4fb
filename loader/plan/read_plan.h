// The reads that carry out a PlacementPlan: aligned, coalesced, capped in size and in the order in
// which the layers are needed. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "loader/plan/placement_plan.h"

namespace llmrun {

// What a backend wants of its requests.
struct BackendLimits {
  // Of file offset and length (statx DIO offset alignment). A power of two, at most
  // kImageAlignment.
  uint64_t offset_alignment = 1;
  uint64_t max_request_bytes = 4ULL << 20;
  bool in_file_order = false;  // bytes come once, front to back
};

// The limits by which loads plan their reads, whatever the backend. Reads are planned in pieces of
// at most 2 MiB and joined into requests of up to `chunk_bytes` (io/read_executor): layers open
// sooner, and the size of requests can be tuned. Every alignment that files are opened with is met.
BackendLimits LoadLimits(uint64_t chunk_bytes);

// Read `bytes` of `file` at `file_offset` to `arena` + `arena_offset`. Offset and length are
// multiples of the limits' alignment, so the head may begin before the first tensor and the tail
// end after the last, even past the end of the file: the arena has room for both.
struct PlannedRead {
  uint32_t file = 0;
  uint64_t file_offset = 0;
  uint64_t bytes = 0;
  uint64_t must_bytes = 0;  // of these, how many lie before the end of the file
  uint32_t arena = 0;
  uint64_t arena_offset = 0;
  GroupId first_group = 0;  // lowest and highest group with a byte in this read
  GroupId last_group = 0;
};

struct ReadPlan {
  std::vector<PlannedRead> reads;     // in the order of submission
  std::vector<uint32_t> group_reads;  // [group_count] how many reads touch each group
  std::vector<std::vector<GroupId>> groups_of_read;  // [reads] every group a read touches
  uint64_t total_bytes = 0;                          // sum of must_bytes
};

// The order is by first group, then offset, unless the limits want that of the file. Every byte of
// a part is in exactly one read to where the part lies; a block that holds bytes of parts in two
// arenas is read to both. What lies between tensors is read along where that saves a request. Of a
// mapped plan, these are the ranges to bring into the page cache, in order.
ReadPlan PlanReads(const TensorIndex& index, const PlacementPlan& plan,
                   const BackendLimits& limits);

}  // namespace llmrun
