// The copies of mirrored weights: what has landed in the first arena is copied to the others, each
// by threads on the arena's node, beside the reads that go on.
//
// Threads: Landed() is Thread-safe; the rest belongs to one thread. Owner: borrows the read plan
// and the arenas. Failure: the first error of touching a copy's pages; it is Finish()'s.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/error.h"
#include "loader/plan/read_plan.h"
#include "memory/arena.h"

namespace llmrun {

class MirrorCopies {
 public:
  struct Spec {
    const ReadPlan& reads;
    std::span<Arena> arenas;                        // at least two, alike; reads go to the first
    std::vector<std::vector<unsigned>> cpus = {};   // [arenas] those of its node
    int threads = 1;                                // for each copy
    std::function<void(size_t read)> arrived = {};  // its bytes are in all arenas. Thread-safe
  };
  static Result<std::unique_ptr<MirrorCopies>> Start(Spec spec);
  ~MirrorCopies();  // leaves undone what is waiting

  // The bytes of a read are in the first arena. Each read may land once.
  void Landed(size_t read);
  // Waits until everything that landed has arrived. Requires: no Landed() from here on.
  Status Finish();

 private:
  explicit MirrorCopies(Spec spec);
  void Work(size_t arena);
  Status Copy(size_t arena, size_t read);

  const Spec spec_;
  const std::unique_ptr<std::atomic<uint32_t>[]> copies_left_;  // [reads]
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::deque<size_t>> waiting_;  // [arenas]; guarded by mutex_
  size_t working_ = 0;                       // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::optional<Error> error_;               // guarded by mutex_
};

}  // namespace llmrun
