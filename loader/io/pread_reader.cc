#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "loader/io/blocking_readers.h"

namespace llmrun {

namespace {

// preadv2(2) since Linux 6.14 (linux/fs.h: RWF_DONTCACHE): pages that this read brings into the
// page cache leave it again; those that were there before stay. Kernels and file systems that do
// not know it say EOPNOTSUPP, older ones EINVAL.
constexpr int kDontCache = 0x80;

}  // namespace

BlockingReader MakePreadReader(std::vector<BackendFile> files) {
  std::vector<bool> knows_dont_cache(files.size(), true);
  return [files = std::move(files),
          knows = std::move(knows_dont_cache)](const ReadRequest& request) mutable -> int64_t {
    const BackendFile& file = files[request.file];
    const auto offset = static_cast<off_t>(request.offset);
    if (!request.direct && knows[request.file]) {
      const iovec to = {request.destination, request.bytes};
      const ssize_t n = ::preadv2(file.fd, &to, 1, offset, kDontCache);
      if (n >= 0) return n;
      if (errno != EOPNOTSUPP && errno != EINVAL) return -errno;
      knows[request.file] = false;
    }
    const ssize_t n = ::pread(request.direct ? file.direct_fd : file.fd, request.destination,
                              request.bytes, offset);
    return n >= 0 ? n : -errno;
  };
}

}  // namespace llmrun
