// The seam between reading plans and ways of reading: a backend takes batches of plain requests and
// gives completions back in any order. It knows descriptors, offsets, lengths and destinations,
// never tensors. It does not retry and does not finish short reads: ReadExecutor does, in one
// place.
//
// Threads: Single-thread (the thread that made it submits, reaps and destroys). Owner: descriptors
// are borrowed; destinations must stay valid until each request's completion was reaped. Destroying
// a backend waits for what is in flight. Failure: what happens to one read is its completion's
// result; Submit and Reap fail only when the backend itself is of no more use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"

namespace llmrun {

// The descriptors of one file.
struct BackendFile {
  int fd = -1;         // through the page cache; always there
  int direct_fd = -1;  // opened with O_DIRECT; -1 where the file system refused
};

struct ReadRequest {
  uint64_t tag = 0;     // given back in the completion
  uint32_t file = 0;    // index into the files the backend was made with
  bool direct = false;  // through the O_DIRECT descriptor; requires that the file has one
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::byte* destination = nullptr;
};

struct ReadCompletion {
  uint64_t tag = 0;
  int64_t result = 0;  // bytes read (0 = end of file), or -errno
};

class ReadBackend {
 public:
  virtual ~ReadBackend() = default;
  virtual std::string_view Name() const = 0;  // "io_uring", "read", "splice"
  virtual uint32_t Capacity() const = 0;      // most requests in flight
  // Takes requests from the front of the batch; returns how many (0 only when full). They are on
  // their way at the latest when Reap() is called.
  virtual Result<size_t> Submit(std::span<const ReadRequest> batch) = 0;
  // Waits for at least one completion (when any is in flight); returns how many were written.
  virtual Result<size_t> Reap(std::span<ReadCompletion> completions) = 0;
};

}  // namespace llmrun
