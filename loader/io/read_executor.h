// Carries out reads on a backend and finishes each of them: jobs that lie side by side in the file
// and in memory go out as one request; short reads are continued (realigned where O_DIRECT wants
// it), EINTR and EAGAIN are repeated, EINVAL from O_DIRECT is repeated through the page cache (one
// Fallback for the file), end of file before `must_bytes` is an error that says the file was
// truncated. On return nothing is in flight, whatever happened.
//
// Threads: Run() is Single-thread and blocks; `landed` is called on that thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "base/stopwatch.h"
#include "loader/io/read_backend.h"
#include "loader/io/request_tuner.h"

namespace llmrun {

// One read to be finished. `id` is the caller's.
struct ReadJob {
  uint64_t id = 0;
  uint32_t file = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;       // to ask for
  uint64_t must_bytes = 0;  // to have in the end; the rest lies past the end of the file
  std::byte* destination = nullptr;
  bool buffered = false;  // through the page cache, though the file could be read directly
};

// What the executor knows about a file; as many as the backend has.
struct ReadFile {
  std::string label;                 // names it in errors
  bool direct = false;               // begin with O_DIRECT
  uint64_t direct_alignment = 4096;  // of offset, length and address when direct
};

struct ExecutorOptions {
  int max_retries = 64;  // EINTR/EAGAIN in a row for one job before it is an error
  // Called once for a job before its first request, e.g. to touch the destination's pages; an error
  // ends the run. May be empty.
  std::function<Status(uint64_t id)> prepare = {};
  // Of one request, and how many are in flight at once; at most what the backend takes. A tuner,
  // when there is one (borrowed), says both. Several runs may share one, and its clock: so many,
  // this one included.
  uint64_t request_bytes = 4ULL << 20;
  RequestTuner* tuner = nullptr;
  uint32_t sharers = 1;
  Stopwatch clock = {};
};

struct ExecutorResult {
  uint64_t read_bytes = 0;    // sum of must_bytes
  uint64_t direct_bytes = 0;  // of these, how many came without a copy
  uint64_t requests = 0;
  uint64_t retries = 0;  // jobs that needed another request
  std::vector<Fallback> fallbacks;
};

// `landed(id)` is called once for each finished job. Destinations of jobs that did not finish hold
// unspecified bytes, inside their `bytes`; after the return nothing writes to any destination.
// `cancelled`, when set and true, ends the run with kResource "cancelled" after draining.
// Requires: 0 < must_bytes <= bytes; for files with `direct`, offset, bytes and destination are
// multiples of direct_alignment.
// Failure: kBadData for a file that ends too early, kOs for what the device or kernel refused.
Result<ExecutorResult> RunReads(ReadBackend& backend, std::span<const ReadJob> jobs,
                                std::span<const ReadFile> files, const ExecutorOptions& options,
                                const std::function<void(uint64_t id)>& landed,
                                const std::atomic<bool>* cancelled = nullptr);

}  // namespace llmrun
