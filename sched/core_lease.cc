#include "sched/core_lease.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace llmrun {
namespace {

// What is in the file.
struct Header {
  std::array<char, 8> magic{'L', 'L', 'M', 'C', 'O', 'R', 'E', 'S'};
  uint64_t version = 1;
};
struct Slot {
  uint32_t active = 0;
  uint32_t wanted = 0;
  uint32_t count = 0;  // of cpus
  std::array<uint16_t, CoreLease::kMaxCpus> cpus{};
};
constexpr off_t kStampOffset = sizeof(Header);
constexpr off_t kSlotsOffset = kStampOffset + static_cast<off_t>(sizeof(uint64_t));
static_assert(CoreLease::kMaxMembers == 64);  // the stamp has six bits for the slot

constexpr off_t SlotOffset(size_t slot) {
  return kSlotsOffset + static_cast<off_t>(slot * sizeof(Slot));
}

template <typename T>
bool ReadAt(int fd, off_t offset, T* value) {
  return ::pread(fd, value, sizeof *value, offset) == static_cast<ssize_t>(sizeof *value);
}

template <typename T>
Status WriteAt(int fd, off_t offset, const T& value, const std::string& path) {
  const ssize_t written = ::pwrite(fd, &value, sizeof value, offset);
  if (written < 0) return OsError(errno, fmt::format("{}: write", path));
  if (written != static_cast<ssize_t>(sizeof value)) {
    return OsError(ENOSPC, fmt::format("{}: write", path));
  }
  return {};
}

struct flock LockOf(size_t slot) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = SlotOffset(slot);
  lock.l_len = sizeof(Slot);
  return lock;
}

bool HeldByAnother(int fd, size_t slot) {
  struct flock lock = LockOf(slot);
  return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

std::string RemoveFix(const std::string& path) {
  return fmt::format("rm {}, or run without --share-cores", path);
}

Status CheckOwner(int fd, const std::string& path) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return OsError(errno, fmt::format("{}: fstat", path));
  if (!S_ISREG(file.st_mode)) {
    return MakeFixableError(ErrorCode::kUnavailable, RemoveFix(path),
                            "{}: the table of shared cores must be a regular file", path);
  }
  if (file.st_uid != ::geteuid()) {
    return MakeFixableError(ErrorCode::kUnavailable, RemoveFix(path),
                            "{}: the table of shared cores belongs to user {}, we are user {}",
                            path, file.st_uid, ::geteuid());
  }
  return {};
}

// Writes the header of an empty file, as does whoever else finds it empty; checks that of another.
Status CheckHeader(int fd, const std::string& path) {
  const Header ours;
  Header found{};
  const ssize_t size = ::pread(fd, &found, sizeof found, 0);
  if (size < 0) return OsError(errno, fmt::format("{}: read", path));
  if (size == 0) return WriteAt(fd, 0, ours, path);
  if (size != static_cast<ssize_t>(sizeof found) || found.magic != ours.magic) {
    return MakeFixableError(ErrorCode::kUnavailable, RemoveFix(path),
                            "{}: not a table of shared cores", path);
  }
  if (found.version != ours.version) {
    return MakeFixableError(
        ErrorCode::kUnavailable, RemoveFix(path),
        "{}: the table of shared cores has version {}, this llm-run knows version {}", path,
        found.version, ours.version);
  }
  return {};
}

Result<UniqueFd> OpenTable(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid() && errno == ELOOP) {
    return MakeFixableError(ErrorCode::kUnavailable, RemoveFix(path),
                            "{}: the table of shared cores must not be a symbolic link", path);
  }
  if (!fd.valid()) {
    return MakeFixableError(ErrorCode::kUnavailable, "run without --share-cores",
                            "{}: the table of shared cores cannot be opened: {}", path,
                            std::generic_category().message(errno));
  }
  RETURN_IF_ERROR(CheckOwner(fd.get(), path));
  RETURN_IF_ERROR(CheckHeader(fd.get(), path));
  return fd;
}

Result<size_t> LockFreeSlot(int fd, const std::string& path) {
  for (size_t slot = 0; slot < CoreLease::kMaxMembers; ++slot) {
    struct flock lock = LockOf(slot);
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return slot;
    if (errno != EAGAIN && errno != EACCES) return OsError(errno, fmt::format("{}: lock", path));
  }
  return MakeFixableError(ErrorCode::kUnavailable, "end one of them, or run without --share-cores",
                          "{}: {} processes share cores already, at most {} can", path,
                          CoreLease::kMaxMembers, CoreLease::kMaxMembers);
}

}  // namespace

std::string CoreLease::DefaultPath() {
  return fmt::format("/dev/shm/llm-run-cores-{}", ::geteuid());
}

Result<std::unique_ptr<CoreLease>> CoreLease::Join(CoreLeaseOptions options) {
  const CoreClaim& claim = options.claim;
  CHECK(!claim.cpus.empty() && claim.wanted > 0);
  const unsigned highest = *std::ranges::max_element(claim.cpus);
  if (claim.cpus.size() > kMaxCpus || highest > kMaxCpuNumber) {
    return MakeFixableError(ErrorCode::kUnavailable, "run without --share-cores",
                            "{} CPUs up to number {} are to be shared, at most {} up to number {} "
                            "can be",
                            claim.cpus.size(), highest, kMaxCpus, kMaxCpuNumber);
  }
  std::unique_ptr<CoreLease> lease(new CoreLease(std::move(options)));
  RETURN_IF_ERROR(lease->Enter());
  lease->Look();
  return lease;
}

CoreLease::~CoreLease() {
  if (!active_) return;
  static_cast<void>(WriteSlot(fd_.get(), slot_, false));
  WriteStamp(fd_.get(), slot_);
}

Status CoreLease::SetActive(bool active) {
  if (active != active_) {
    RETURN_IF_ERROR(WriteSlot(fd_.get(), slot_, active));
    active_ = active;
    WriteStamp(fd_.get(), slot_);
  }
  Look();
  return {};
}

bool CoreLease::Refresh() {
  const bool due = std::chrono::steady_clock::now() - looked_at_ >= options_.look_interval;
  return (due || ReadStamp() != seen_stamp_) && Look();
}

// Takes a slot of the file that has the name now. On failure we stay where we are.
Status CoreLease::Enter() {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenTable(options_.path));
  ASSIGN_OR_RETURN(const size_t slot, LockFreeSlot(fd.get(), options_.path));
  RETURN_IF_ERROR(WriteSlot(fd.get(), slot, active_));
  WriteStamp(fd.get(), slot);
  fd_ = std::move(fd);
  slot_ = slot;
  return {};
}

Status CoreLease::WriteSlot(int fd, size_t slot, bool active) const {
  const CoreClaim& claim = options_.claim;
  Slot ours{
      .active = active, .wanted = claim.wanted, .count = static_cast<uint32_t>(claim.cpus.size())};
  std::ranges::transform(claim.cpus, ours.cpus.begin(),
                         [](unsigned cpu) { return static_cast<uint16_t>(cpu); });
  return WriteAt(fd, SlotOffset(slot), ours, options_.path);
}

// A stamp that nobody has written before: the time, and who. Where it cannot be written, the others
// see the change at their next look.
void CoreLease::WriteStamp(int fd, size_t slot) const {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  const uint64_t stamp = static_cast<uint64_t>(ns) << 6 | slot;
  static_cast<void>(WriteAt(fd, kStampOffset, stamp, options_.path));
}

uint64_t CoreLease::ReadStamp() const {
  uint64_t stamp = 0;
  return ReadAt(fd_.get(), kStampOffset, &stamp) ? stamp : 0;
}

void CoreLease::FollowPath() {
  struct stat open_file {};
  struct stat named_file {};
  if (::fstat(fd_.get(), &open_file) != 0) return;
  const bool same = ::lstat(options_.path.c_str(), &named_file) == 0 &&
                    open_file.st_dev == named_file.st_dev && open_file.st_ino == named_file.st_ino;
  if (!same) static_cast<void>(Enter());  // tried again at the next look
}

std::optional<CoreClaim> CoreLease::ReadActiveClaim(size_t slot) const {
  Slot theirs;
  if (!ReadAt(fd_.get(), SlotOffset(slot), &theirs) || theirs.active == 0) return std::nullopt;
  if (!HeldByAnother(fd_.get(), slot)) return std::nullopt;
  const size_t count = std::min<size_t>(theirs.count, kMaxCpus);
  return CoreClaim{{theirs.cpus.begin(), theirs.cpus.begin() + count}, theirs.wanted};
}

bool CoreLease::Look() {
  looked_at_ = std::chrono::steady_clock::now();
  FollowPath();
  seen_stamp_ = ReadStamp();  // before the slots: what changes meanwhile has a newer one
  std::vector<CoreClaim> claims;
  size_t ours = 0;
  for (size_t slot = 0; slot < kMaxMembers; ++slot) {
    if (slot == slot_) {
      ours = claims.size();
      if (active_) claims.push_back(options_.claim);
    } else if (auto claim = ReadActiveClaim(slot)) {
      claims.push_back(*std::move(claim));
    }
  }
  members_ = claims.size();
  std::vector<unsigned> cpus;
  if (active_) cpus = SplitCores(claims)[ours];
  const bool changed = cpus != cpus_;
  cpus_ = std::move(cpus);
  return changed;
}

}  // namespace llmrun
