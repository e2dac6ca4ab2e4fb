#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "base/unique_fd.h"
#include "loader/io/blocking_readers.h"

namespace llmrun {
namespace {

// The largest pipe an unprivileged process gets by default (/proc/sys/fs/pipe-max-size).
constexpr int kPipeBytes = 1 << 20;

class SpliceReader {
 public:
  explicit SpliceReader(std::vector<BackendFile> files) : files_(std::move(files)) {}

  Status OpenPipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return OsError(errno, "pipe2");
    out_ = UniqueFd(ends[0]);
    in_ = UniqueFd(ends[1]);
    // A refusal (too many pipes of this user are large) leaves 64 KiB: slower, as correct.
    ::fcntl(in_.get(), F_SETPIPE_SZ, kPipeBytes);
    return {};
  }

  int64_t Read(const ReadRequest& request) {
    const BackendFile& file = files_[request.file];
    uint64_t done = 0;
    while (done < request.bytes) {
      off_t offset = static_cast<off_t>(request.offset + done);
      const size_t wanted = std::min<uint64_t>(request.bytes - done, kPipeBytes);
      const ssize_t n = ::splice(request.direct ? file.direct_fd : file.fd, &offset, in_.get(),
                                 nullptr, wanted, SPLICE_F_MOVE);
      if (n == 0) break;
      if (n < 0) return done > 0 ? static_cast<int64_t>(done) : -errno;
      const int error = EmptyPipe(request.destination + done, static_cast<size_t>(n));
      if (error != 0) return -error;
      done += static_cast<uint64_t>(n);
    }
    return static_cast<int64_t>(done);
  }

 private:
  // Moves the n bytes that are in the pipe to their place. Returns 0 or an errno.
  int EmptyPipe(std::byte* destination, size_t n) {
    while (n > 0) {
      const ssize_t moved = ::read(out_.get(), destination, n);
      if (moved < 0 && errno == EINTR) continue;
      if (moved <= 0) {
        // What is left in this pipe must not be taken for the bytes of a later request.
        const int error = moved < 0 ? errno : EIO;
        return OpenPipe() ? error : EMFILE;
      }
      destination += moved;
      n -= static_cast<size_t>(moved);
    }
    return 0;
  }

  const std::vector<BackendFile> files_;
  UniqueFd out_;  // read end
  UniqueFd in_;   // write end
};

}  // namespace

Result<BlockingReader> MakeSpliceReader(std::vector<BackendFile> files) {
  // std::function wants something copyable.
  auto reader = std::make_shared<SpliceReader>(std::move(files));
  RETURN_IF_ERROR(reader->OpenPipe());
  return [reader](const ReadRequest& request) { return reader->Read(request); };
}

}  // namespace llmrun
