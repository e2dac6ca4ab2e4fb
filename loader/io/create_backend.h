// Makes the backend of a loader, or the next best one where the machine refuses it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "loader/io/read_backend.h"
#include "loader/load_options.h"

namespace llmrun {

struct BackendOptions {
  int threads = 1;                  // of `read` and `splice`
  uint32_t queue_depth = 16;        // of `io_uring`
  IoPoll io_poll = IoPoll::kNone;   // likewise
  std::vector<unsigned> cpus = {};  // where threads may run; empty: anywhere
  // Called by the threads of `read` and `splice` before they read: 0 or an errno value, which
  // becomes the result of the read. May be empty.
  std::function<int(const ReadRequest&)> before_read = {};
  const std::atomic<bool>* cancelled = nullptr;  // ends a wait for bytes of a stream; may be null
};

struct BackendChoice {
  std::unique_ptr<ReadBackend> backend = nullptr;
  bool direct = false;                   // requests should go through O_DIRECT where a file has it
  IoPoll io_poll = IoPoll::kNone;        // as it is
  uint64_t most_bytes = kMaxChunkBytes;  // that it reads at once, whatever a request asks for
  std::vector<Fallback> fallbacks = {};
};

// `kind` is kRead, kIoUring or kSplice. The descriptors must outlive the backend. To be called on
// the thread that will use the backend.
// io_uring that is not to be had becomes `read` with a Fallback that says who refused it; polling
// that is not to be had becomes io_uring without it.
// Failure: kOs when not even threads or pipes can be had.
Result<BackendChoice> CreateBackend(LoaderKind kind, std::span<const BackendFile> files,
                                    const BackendOptions& options);

}  // namespace llmrun
