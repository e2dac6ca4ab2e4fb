#include "loader/io/create_backend.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/small_file.h"
#include "loader/io/blocking_readers.h"
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

}  // namespace

Result<BackendChoice> CreateBackend(LoaderKind kind, std::span<const BackendFile> files,
                                    const BackendOptions& options) {
  if (kind == LoaderKind::kSplice) return CreateSplice(files, options);
  if (kind == LoaderKind::kRead) return CreatePread(files, options);
  CHECK(kind == LoaderKind::kIoUring);
  auto ring = UringBackend::Create(files, options.queue_depth);
  if (ring) return BackendChoice{.backend = std::move(*ring), .direct = true};
  ASSIGN_OR_RETURN(BackendChoice choice, CreatePread(files, options));
  choice.fallbacks.push_back(ExplainNoUring(ring.error()));
  return choice;
}

}  // namespace llmrun
