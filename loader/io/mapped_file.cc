#include "loader/io/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/units.h"
#include "memory/lock_memory.h"

namespace llmrun {
namespace {

constexpr uint64_t kPageBytes = 4096;

// For kernels without MADV_POPULATE_READ (before 5.14).
void TouchPages(std::span<const std::byte> range) {
  for (uint64_t at = 0; at < range.size(); at += kPageBytes) {
    static_cast<void>(*static_cast<const volatile std::byte*>(&range[at]));
  }
}

Status CheckLength(int fd, uint64_t expected_bytes, const std::string& label) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return OsError(errno, label);
  const auto found_bytes = static_cast<uint64_t>(info.st_size);
  if (found_bytes >= expected_bytes) return {};
  return MakeError(ErrorCode::kBadData,
                   "{}: the file became shorter while loading: expected {} bytes, found {}", label,
                   expected_bytes, found_bytes);
}

}  // namespace

Result<MappedFile> MappedFile::Map(int fd, uint64_t bytes, std::string label) {
  CHECK(bytes > 0);
  void* data = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return OsError(errno, fmt::format("{}: mmap", label));
  return MappedFile(fd, static_cast<const std::byte*>(data), bytes, std::move(label));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : fd_(other.fd_),
      data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)),
      label_(std::move(other.label_)),
      guard_(std::move(other.guard_)) {}

MappedFile::~MappedFile() {
  guard_.reset();
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_bytes_);
}

Status MappedFile::Populate(uint64_t offset, uint64_t bytes) const {
  CHECK(offset % kPageBytes == 0 && offset < size_bytes_);
  const std::span<const std::byte> range =
      this->bytes().subspan(offset, std::min(bytes, size_bytes_ - offset));
  while (true) {
    // Pages behind the end of the file would raise SIGBUS; madvise says EFAULT instead.
    const int result = ::madvise(const_cast<std::byte*>(range.data()),
                                 AlignUp(range.size(), kPageBytes), MADV_POPULATE_READ);
    if (result == 0) return {};
    const int error = errno;
    if (error == EINTR || error == EAGAIN) continue;
    RETURN_IF_ERROR(CheckLength(fd_, size_bytes_, label_));
    if (error != EINVAL) {
      return OsError(
          error == EFAULT ? EIO : error,
          fmt::format("{}: bringing in {} bytes at byte {}", label_, range.size(), offset));
    }
    TouchPages(range);
    return {};
  }
}

Status MappedFile::Lock() const { return LockMemory(bytes()); }

}  // namespace llmrun
