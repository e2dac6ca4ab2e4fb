#include "loader/io/create_backend.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/small_file.h"
#include "loader/io/blocking_readers.h"
#include "loader/io/model_file.h"
#include "loader/io/poll_queues.h"
#include "loader/io/thread_backend.h"
#include "loader/io/uring_backend.h"

namespace llmrun {
namespace {

BlockingReader Preceded(const BackendOptions& options, BlockingReader reader) {
  if (!options.before_read) return reader;
  return [before = options.before_read, reader = std::move(reader)](const ReadRequest& request) {
    const int errnum = before(request);
    return errnum == 0 ? reader(request) : -int64_t{errnum};
  };
}

Result<BackendChoice> CreatePread(std::span<const BackendFile> files,
                                  const BackendOptions& options) {
  std::vector<BlockingReader> readers;
  for (int i = 0; i < options.threads; ++i) {
    readers.push_back(Preceded(options, MakePreadReader({files.begin(), files.end()})));
  }
  BackendChoice choice;
  ASSIGN_OR_RETURN(choice.backend, ThreadBackend::Create("read", std::move(readers), options.cpus));
  return choice;
}

Result<BackendChoice> CreateSplice(std::span<const BackendFile> files,
                                   const BackendOptions& options) {
  std::vector<BlockingReader> readers;
  for (int i = 0; i < options.threads; ++i) {
    ASSIGN_OR_RETURN(BlockingReader reader, MakeSpliceReader({files.begin(), files.end()}));
    readers.push_back(Preceded(options, std::move(reader)));
  }
  BackendChoice choice;
  ASSIGN_OR_RETURN(choice.backend,
                   ThreadBackend::Create("splice", std::move(readers), options.cpus));
  return choice;
}

// Reads the first block of each file that is open for direct I/O: 0, or the errno of the first
// refusal.
int TryDirectReads(ReadBackend& backend, std::span<const BackendFile> files) {
  alignas(kMaxDirectAlignment) std::byte block[kMaxDirectAlignment];
  for (uint32_t i = 0; i < files.size(); ++i) {
    if (files[i].direct_fd < 0) continue;
    const ReadRequest request{
        .file = i, .direct = true, .bytes = sizeof block, .destination = block};
    const Result<size_t> submitted = backend.Submit(std::span(&request, 1));
    ReadCompletion done;
    const Result<size_t> reaped = backend.Reap(std::span(&done, 1));
    if (!submitted || !reaped || *reaped != 1) return EIO;
    if (done.result < 0 && done.result != -EAGAIN) return static_cast<int>(-done.result);
  }
  return 0;
}

// Who refused io_uring, and what to do about it.
Fallback ExplainNoUring(int error) {
  Fallback fallback{"io_uring", "read", std::strerror(error), ""};
  if (error == ENOSYS) {
    fallback.why = "this kernel, or the seccomp profile of this container, has no io_uring";
    fallback.fix = "Linux 5.15 or later; in a container a seccomp profile that allows io_uring";
  } else if (error == EPERM || error == EACCES) {
    const auto disabled = ReadNumberFile("/proc/sys/kernel/io_uring_disabled");
    if (disabled.value_or(0) > 0) {
      fallback.why = fmt::format("kernel.io_uring_disabled is {}", *disabled);
      fallback.fix = "sudo sysctl kernel.io_uring_disabled=0";
    } else {
      fallback.why = fmt::format("io_uring_setup: {} (a seccomp profile or security module)",
                                 std::strerror(error));
      fallback.fix = "run the container with a seccomp profile that allows io_uring";
    }
  } else if (error == ENOMEM) {
    fallback.why = "io_uring_setup: no memory for the ring (locked-memory limit or cgroup)";
    fallback.fix = "ulimit -l unlimited, or a larger memory.max";
  } else if (error == EMFILE || error == ENFILE) {
    fallback.fix = "ulimit -n 65536";
  }
  return fallback;
}

// With SQPOLL or IOPOLL, or why not.
tl::expected<BackendChoice, Fallback> CreatePolled(std::span<const BackendFile> files,
                                                   const BackendOptions& options) {
  Fallback fallback{fmt::format("io_uring with {}", NameOf(options.io_poll)), "io_uring", "", ""};
  BackendChoice choice{.direct = true, .io_poll = options.io_poll};
  if (options.io_poll == IoPoll::kIopoll) {
    for (const BackendFile& file : files) {
      const PollQueues queues = PollQueuesOf(file.direct_fd);
      choice.most_bytes = std::min(choice.most_bytes, queues.most_bytes);
      if (queues.why_not.empty()) continue;
      fallback.why = queues.why_not;
      fallback.fix = kPollQueuesFix;
      return tl::unexpected<Fallback>(fallback);
    }
  }
  auto ring = UringBackend::Create(files, options.queue_depth, options.io_poll, choice.most_bytes);
  if (!ring) {
    fallback.why = fmt::format("io_uring_setup: {}", std::strerror(ring.error()));
    return tl::unexpected<Fallback>(fallback);
  }
  if (options.io_poll == IoPoll::kIopoll) {
    if (const int error = TryDirectReads(**ring, files); error != 0) {
      fallback.why = fmt::format("a polled read: {}", std::strerror(error));
      return tl::unexpected<Fallback>(fallback);
    }
  }
  choice.backend = std::move(*ring);
  return choice;
}

}  // namespace

Result<BackendChoice> CreateBackend(LoaderKind kind, std::span<const BackendFile> files,
                                    const BackendOptions& options) {
  if (kind == LoaderKind::kSplice) return CreateSplice(files, options);
  if (kind == LoaderKind::kRead) return CreatePread(files, options);
  CHECK(kind == LoaderKind::kIoUring);
  std::vector<Fallback> fallbacks;
  if (options.io_poll != IoPoll::kNone) {
    auto polled = CreatePolled(files, options);
    if (polled) return std::move(*polled);
    fallbacks.push_back(std::move(polled).error());
  }
  auto ring = UringBackend::Create(files, options.queue_depth, IoPoll::kNone);
  if (ring) {
    return BackendChoice{
        .backend = std::move(*ring), .direct = true, .fallbacks = std::move(fallbacks)};
  }
  ASSIGN_OR_RETURN(BackendChoice choice, CreatePread(files, options));
  choice.fallbacks.push_back(ExplainNoUring(ring.error()));
  return choice;
}

}  // namespace llmrun
