#include "loader/io/page_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/units.h"
#include "loader/io/file_byte_source.h"
#include "loader/io/mapped_file.h"
#include "loader/io/start_thread.h"
#include "memory/thread_policy.h"

namespace llmrun {
namespace {

constexpr uint64_t kReadBytes = 256 * kKiB;  // fits into a core's cache: the copies cost little
constexpr uint64_t kMaxReaders = 8;

}  // namespace

Result<uint64_t> FileCacheState::Cached() const {
  if (cached_bytes) return *cached_bytes;
  return MakeFixableError(ErrorCode::kUnavailable, "run as the owner of the file",
                          "{}: the kernel tells only the owner of a file, or who may write it, "
                          "what of it is cached",
                          path);
}

Result<FileCacheState> ReadCacheState(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, FileByteSource::Open(path));
  FileCacheState state{path, file->SizeBytes(), std::nullopt};
  ASSIGN_OR_RETURN(state.cached_bytes, CachedBytes(file->fd(), state.file_bytes));
  return state;
}

Status DropFromCache(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, FileByteSource::Open(path));
  // File systems that cannot be written have nothing to write back.
  if (::fdatasync(file->fd()) != 0 && errno != EINVAL && errno != EROFS) {
    return OsError(errno, path + ": writing its changes back");
  }
  const int error = ::posix_fadvise(file->fd(), 0, 0, POSIX_FADV_DONTNEED);
  if (error != 0) return OsError(error, path + ": dropping its cached pages");
  return {};
}

// posix_fadvise(WILLNEED) would return at once and stop at the device's largest request, so this
// reads. Every reader takes the next piece that nobody has taken.
Status WarmCache(const std::string& path, const NodeSet& nodes) {
  ASSIGN_OR_RETURN(const auto file, FileByteSource::Open(path));
  const uint64_t file_bytes = file->SizeBytes();
  std::atomic<uint64_t> next = 0;
  std::mutex mutex;
  Status outcome;  // the first failure; guarded by mutex
  const auto fail = [&](Status status) {
    const std::lock_guard lock(mutex);
    if (outcome) outcome = std::move(status);
    next = file_bytes;
  };
  const auto read = [&] {
    std::vector<std::byte> buffer(std::min(kReadBytes, file_bytes));
    for (uint64_t at = next.fetch_add(kReadBytes); at < file_bytes;
         at = next.fetch_add(kReadBytes)) {
      const std::span<std::byte> piece =
          std::span(buffer).first(std::min(kReadBytes, file_bytes - at));
      if (Status status = file->ReadAt(at, piece); !status) return fail(std::move(status));
    }
  };
  const uint64_t readers = std::min(kMaxReaders, (file_bytes + kReadBytes - 1) / kReadBytes);
  std::vector<std::thread> threads;
  const auto read_there = [&] {
    if (!nodes.empty()) {
      if (Status status = SetThreadNodes(nodes); !status) return fail(std::move(status));
    }
    read();
  };
  // This thread keeps its own policy.
  const uint64_t own_share = nodes.empty() ? 1 : 0;
  for (uint64_t i = own_share; i < readers; ++i) {
    Result<std::thread> thread = StartThread("reading into the page cache", {}, read_there);
    if (!thread && i == 0) return tl::unexpected<Error>(thread.error());
    if (!thread) break;  // those that run do its share
    threads.push_back(*std::move(thread));
  }
  if (own_share == 1) read();
  for (std::thread& thread : threads) thread.join();
  return outcome;
}

Result<Residency> PlaceOfCache(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, FileByteSource::Open(path));
  if (file->SizeBytes() == 0) return Residency();
  ASSIGN_OR_RETURN(const MappedFile mapping, MappedFile::Map(file->fd(), file->SizeBytes(), path));
  RETURN_IF_ERROR(mapping.Populate(0, file->SizeBytes()));
  return InspectRange(mapping.bytes());
}

}  // namespace llmrun
