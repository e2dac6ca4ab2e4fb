#include <unistd.h>

#include <cerrno>
#include <utility>

#include "loader/io/blocking_readers.h"

namespace llmrun {

BlockingReader MakePreadReader(std::vector<BackendFile> files) {
  return [files = std::move(files)](const ReadRequest& request) -> int64_t {
    const BackendFile& file = files[request.file];
    const ssize_t n = ::pread(request.direct ? file.direct_fd : file.fd, request.destination,
                              request.bytes, static_cast<off_t>(request.offset));
    return n >= 0 ? n : -errno;
  };
}

}  // namespace llmrun
