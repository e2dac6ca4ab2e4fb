#include "loader/io/receive_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/units.h"
#include "memory/limits.h"

namespace llmrun {
namespace {

constexpr size_t kReceiveBytes = 1 << 20;
constexpr uint64_t kCheckEveryBytes = 64 * kMiB;

tl::unexpected<Error> NothingThere(std::string_view found) {
  return MakeFixableError(ErrorCode::kNoInput, "zstdcat model.gguf.zst | llm-run -m - -p ...",
                          "standard input: expected a model, found {}", found);
}

bool IsPipe(int fd) {
  struct stat info = {};
  return ::fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode);
}

ssize_t SpliceSome(int from, int to) {
  while (true) {
    const ssize_t n = ::splice(from, nullptr, to, nullptr, kReceiveBytes, SPLICE_F_MOVE);
    if (n >= 0 || errno != EINTR) return n;
  }
}

// What is received must leave some memory for computing with it.
Status CheckMemory(uint64_t received_bytes) {
  const Result<Limits> limits = ReadLimits();
  if (!limits || limits->available_bytes > 2 * kCheckEveryBytes) return {};
  return MakeFixableError(ErrorCode::kResource, "save the model to a file and use --loader=mmap",
                          "standard input: {} received so far, and only {} of memory left ({})",
                          FormatBytes(received_bytes), FormatBytes(limits->available_bytes),
                          limits->available_source);
}

// Moves everything from a pipe into the file.
Status DrainPipe(int pipe, int file, uint64_t* received_bytes) {
  while (true) {
    const ssize_t n = SpliceSome(pipe, file);
    if (n < 0) return OsError(errno, "standard input: splice");
    if (n == 0) return {};
    const uint64_t before = *received_bytes;
    *received_bytes += static_cast<uint64_t>(n);
    if (before / kCheckEveryBytes != *received_bytes / kCheckEveryBytes) {
      RETURN_IF_ERROR(CheckMemory(*received_bytes));
    }
  }
}

// From what is no pipe: through one.
Status ThroughPipe(int from, int file, uint64_t* received_bytes) {
  while (true) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return OsError(errno, "pipe2");
    const UniqueFd out(ends[0]);
    UniqueFd in(ends[1]);
    ::fcntl(in.get(), F_SETPIPE_SZ, kReceiveBytes);
    const ssize_t n = SpliceSome(from, in.get());
    if (n < 0 && errno == EINVAL) return NothingThere("neither a pipe, a socket nor a file");
    if (n < 0) return OsError(errno, "standard input: splice");
    if (n == 0) return {};
    in = UniqueFd();
    RETURN_IF_ERROR(DrainPipe(out.get(), file, received_bytes));
  }
}

}  // namespace

Result<UniqueFd> ReceiveIntoMemory(int fd) {
  UniqueFd file(::memfd_create("llm-run model", MFD_CLOEXEC));
  if (!file.valid()) return OsError(errno, "memfd_create");
  uint64_t received_bytes = 0;
  if (IsPipe(fd)) {
    ::fcntl(fd, F_SETPIPE_SZ, kReceiveBytes);  // a refusal costs speed only
    RETURN_IF_ERROR(DrainPipe(fd, file.get(), &received_bytes));
  } else {
    RETURN_IF_ERROR(ThroughPipe(fd, file.get(), &received_bytes));
  }
  if (received_bytes == 0) return NothingThere("nothing");
  return file;
}

}  // namespace llmrun
