#include "loader/mirror_copies.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "loader/io/start_thread.h"

namespace llmrun {

MirrorCopies::MirrorCopies(Spec spec)
    : spec_(std::move(spec)),
      copies_left_(std::make_unique<std::atomic<uint32_t>[]>(spec_.reads.reads.size())),
      waiting_(spec_.arenas.size()) {
  for (size_t i = 0; i < spec_.reads.reads.size(); ++i) {
    copies_left_[i] = static_cast<uint32_t>(spec_.arenas.size() - 1);
  }
}

Result<std::unique_ptr<MirrorCopies>> MirrorCopies::Start(Spec spec) {
  CHECK(spec.arenas.size() > 1 && spec.cpus.size() == spec.arenas.size());
  std::unique_ptr<MirrorCopies> copies(new MirrorCopies(std::move(spec)));
  for (size_t arena = 1; arena < copies->spec_.arenas.size(); ++arena) {
    RETURN_IF_ERROR(StartThreads(
        "copying to another node", copies->spec_.threads, copies->spec_.cpus[arena],
        [self = copies.get(), arena] { self->Work(arena); }, &copies->threads_));
  }
  return copies;
}

MirrorCopies::~MirrorCopies() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void MirrorCopies::Landed(size_t read) {
  {
    const std::lock_guard lock(mutex_);
    for (size_t arena = 1; arena < waiting_.size(); ++arena) waiting_[arena].push_back(read);
  }
  changed_.notify_all();
}

Status MirrorCopies::Copy(size_t arena, size_t read) {
  const PlannedRead& planned = spec_.reads.reads[read];
  RETURN_IF_ERROR(spec_.arenas[arena].EnsurePages(planned.arena_offset, planned.bytes));
  // What lies behind the end of the file is not part of it.
  std::memcpy(spec_.arenas[arena].data() + planned.arena_offset,
              spec_.arenas.front().data() + planned.arena_offset, planned.must_bytes);
  return {};
}

void MirrorCopies::Work(size_t arena) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_[arena].empty(); });
    if (stopping_) return;
    const size_t read = waiting_[arena].front();
    waiting_[arena].pop_front();
    ++working_;
    lock.unlock();
    const Status copied = Copy(arena, read);
    if (copied && copies_left_[read].fetch_sub(1, std::memory_order_acq_rel) == 1) {
      spec_.arrived(read);
    }
    lock.lock();
    if (!copied && !error_) error_ = copied.error();
    --working_;
    changed_.notify_all();
  }
}

Status MirrorCopies::Finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] {
    const bool idle =
        std::ranges::all_of(waiting_, [](const auto& reads) { return reads.empty(); });
    return error_ || (idle && working_ == 0);
  });
  if (error_) return tl::unexpected<Error>(*error_);
  return {};
}

}  // namespace llmrun
