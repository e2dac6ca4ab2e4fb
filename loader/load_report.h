// What a load did, as evidence: sizes and places are read back from the kernel, times are measured,
// copies are counted. The fields are those of `--report` (docs/ARCHITECTURE.md#load-report).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fallback.h"
#include "loader/load_options.h"
#include "memory/page_kind.h"
#include "memory/residency.h"

namespace llmrun {

struct LoadReport {
  std::string loader;     // what was used: "io_uring"
  std::string requested;  // what was asked: "auto"
  std::string hugepages_requested;
  std::string numa_requested;  // "auto"
  std::string numa;            // what it came to: "shard"
  std::string numa_rule;       // by which auto was decided; empty when there was nothing to decide
  uint32_t io_rings = 0;       // io_uring: one for each arena; 0: no ring was used
  uint32_t io_depth = 0;       // requests in flight in all of them, as settled on
  uint64_t io_request_bytes = 0;   // of one request
  IoPoll io_poll = IoPoll::kNone;  // of the rings
  std::vector<Fallback> fallbacks;
  uint64_t file_bytes = 0;  // all parts, headers included
  uint64_t read_bytes = 0;  // tensor bytes brought in (or mapped)
  double seconds = 0;       // from the start of Load to the last byte in place
  double plan_seconds = 0;
  double populate_seconds = 0;             // touching pages, summed over threads, beside the reads
  double read_seconds = 0;                 // of that: first request to last completion
  double time_to_first_layer_seconds = 0;  // until groups 0 and 1 were usable
  double cpu_seconds = 0;                  // user + system of this process during the load
  // That a hypervisor took from all CPUs of the machine meanwhile; unset where it is not told.
  std::optional<double> stolen_seconds;
  double hash_seconds = 0;    // verification that was not done when the last byte was in place
  uint64_t packed_bytes = 0;  // rearranged in place for the kernels, or so when they were attached
  double pack_seconds = 0;    // that took, summed over threads, beside the reads
  double copies = 0;  // how often the kernel or we copied each byte: 0 with O_DIRECT and mmap
  // Of the files, in the page cache when the load began; the kernel may tell their owner only.
  std::optional<uint64_t> cached_bytes_before = 0;
  std::vector<PageTile> wanted_pages;  // of each kind, as planned; none of memory that was given
  Residency residency;
  // Of residency.node_bytes: outside the node they were planned for, or, where that was none or
  // several, outside the one that holds most. A quarter of weights interleaved over four nodes lies
  // beside any core.
  uint64_t remote_bytes = 0;
  uint64_t moved_bytes = 0;  // that lay outside their node after the load and were moved there
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;
  // Of the device the files lie on, as it was measured before; 0: not known. The caller's to fill.
  double device_bytes_per_s = 0;
  uint64_t xxh3 = 0;  // over the tensors' own hashes in index order; 0 when not asked for
  bool hashed = false;

  double BytesPerSecond() const {
    return seconds > 0 ? static_cast<double>(read_bytes) / seconds : 0;
  }
  // Share of bytes that lie outside their node; 0..1.
  double RemoteFraction() const;
};

}  // namespace llmrun
