#include "loader/drop_behind.h"

#include <fcntl.h>

#include <optional>

#include "base/checked.h"
#include "memory/residency.h"

namespace llmrun {
namespace {

constexpr uint64_t kCachePageBytes = 4096;

}  // namespace

DropBehind::DropBehind(std::span<const ModelFile> files, const ReadPlan& reads)
    : files_(files), reads_(reads), state_(reads.reads.size(), kUnknown) {
  std::vector<bool> tells(files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    const auto cached = CachedBytes(files[i].fd.get(), files[i].identity.bytes);
    tells[i] = cached && cached->has_value();
  }
  for (size_t i = 0; i < state_.size(); ++i) {
    const PlannedRead& read = reads.reads[i];
    if (!tells[read.file]) continue;
    const std::optional<uint64_t> cached =
        CachedBytesInRange(files[read.file].fd.get(), read.file_offset, read.must_bytes);
    if (!cached) continue;
    state_[i] = *cached >= AlignUp(read.must_bytes, kCachePageBytes) ? kCached
                : *cached == 0                                       ? kAbsent
                                                                     : kPartly;
  }
}

void DropBehind::Drop(size_t read) const {
  if (state_[read] != kAbsent) return;
  const PlannedRead& planned = reads_.reads[read];
  // A refusal leaves pages for the kernel to reclaim: harmless.
  ::posix_fadvise(files_[planned.file].fd.get(), static_cast<off_t>(planned.file_offset),
                  static_cast<off_t>(planned.bytes), POSIX_FADV_DONTNEED);
}

void DropBehind::DropRest() const {
  std::vector<bool> all_absent(files_.size(), true);
  for (size_t i = 0; i < state_.size(); ++i) {
    if (state_[i] != kAbsent) all_absent[reads_.reads[i].file] = false;
  }
  for (size_t file = 0; file < files_.size(); ++file) {
    if (all_absent[file]) ::posix_fadvise(files_[file].fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

}  // namespace llmrun
