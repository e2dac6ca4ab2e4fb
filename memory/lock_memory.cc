#include "memory/lock_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <optional>

#include "base/units.h"
#include "memory/limits.h"

namespace llmrun {
namespace {

Status TooMuch(uint64_t wanted_bytes, std::optional<uint64_t> allowed_bytes) {
  return MakeFixableError(
      ErrorCode::kResource, "ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit",
      "--mlock: {} cannot be locked in memory, RLIMIT_MEMLOCK allows {}", FormatBytes(wanted_bytes),
      allowed_bytes ? FormatBytes(*allowed_bytes) : "less");
}

}  // namespace

Status CheckLockable(uint64_t bytes) {
  const std::optional<uint64_t> allowed_bytes = LockableBytes();
  if (!allowed_bytes || bytes <= *allowed_bytes) return {};
  return TooMuch(bytes, allowed_bytes);
}

Status LockMemory(std::span<const std::byte> range) {
  if (::mlock(range.data(), range.size()) == 0) return {};
  const int error = errno;
  if (error != ENOMEM && error != EPERM && error != EAGAIN) return OsError(error, "mlock");
  return TooMuch(range.size(), LockableBytes());
}

}  // namespace llmrun
