#include "loader/io/file_byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/units.h"

namespace llmrun {
namespace {

// Why `mode` is not something to load a model from; nullptr for a regular file.
const char* NotAFile(mode_t mode) {
  if (S_ISREG(mode)) return nullptr;
  if (S_ISDIR(mode)) return "is a directory";
  if (S_ISFIFO(mode)) return "is a pipe";
  if (S_ISSOCK(mode)) return "is a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "is a device";
  return "is not a regular file";
}

}  // namespace

Result<std::unique_ptr<FileByteSource>> FileByteSource::Open(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer; it means nothing to regular files.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    tl::unexpected<Error> error = OsError(errno, path);
    const bool path_is_wrong = errno == ENXIO || errno == ELOOP || errno == ENAMETOOLONG ||
                               errno == EPERM || errno == EINVAL;
    if (path_is_wrong) error.value().code = ErrorCode::kNoInput;
    return error;
  }
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return OsError(errno, path);
  if (const char* why = NotAFile(info.st_mode)) {
    return MakeError(ErrorCode::kNoInput, "{}: {}, a file is expected", path, why);
  }
  return std::unique_ptr<FileByteSource>(
      new FileByteSource(std::move(fd), path, static_cast<uint64_t>(info.st_size)));
}

Status FileByteSource::ReadAt(uint64_t offset, std::span<std::byte> out) {
  constexpr size_t kMaxReadBytes = kGiB;  // read(2) moves at most 2 GiB - 4 KiB at once
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_.get(), out.data(), std::min(out.size(), kMaxReadBytes),
                              static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError(errno, fmt::format("{}: reading at byte {}", path_, offset));
    if (n == 0) {
      return MakeError(ErrorCode::kBadData,
                       "{}: the file became shorter while it was read: {} bytes expected at byte "
                       "{}, none found",
                       path_, out.size(), offset);
    }
    out = out.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

}  // namespace llmrun
