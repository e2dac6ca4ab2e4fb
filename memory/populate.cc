#include "memory/populate.h"

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>
#include <vector>

#include "base/small_file.h"
#include "base/units.h"

namespace llmrun {
namespace {

// Pieces handed to the threads: big enough that the system call is nothing, small enough that the
// threads finish together.
constexpr uint64_t kShareBytes = 16 * kMiB;
constexpr int kMaxRepeats = 1000;

// Best effort: a node without CPUs, or CPUs outside our cpuset, leave the thread where it is.
void PinToNode(unsigned node) {
  const Result<std::string> list =
      ReadSmallFile(fmt::format("/sys/devices/system/node/node{}/cpulist", node));
  hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
  if (list && cpus != nullptr && hwloc_bitmap_list_sscanf(cpus, list->c_str()) == 0) {
    const int words = hwloc_bitmap_nr_ulongs(cpus);
    std::vector<unsigned long> mask(words > 0 ? static_cast<size_t>(words) : 0);
    if (!mask.empty() &&
        hwloc_bitmap_to_ulongs(cpus, static_cast<unsigned>(words), mask.data()) == 0) {
      sched_setaffinity(0, mask.size() * sizeof mask[0],
                        reinterpret_cast<const cpu_set_t*>(mask.data()));
    }
  }
  hwloc_bitmap_free(cpus);
}

class Populator {
 public:
  Populator(std::span<std::byte> range, const PopulateSpec& spec,
            FunctionRef<int(std::byte*, uint64_t)> touch)
      : range_(range),
        spec_(spec),
        touch_(touch),
        piece_bytes_(std::max(spec.page_bytes, kShareBytes)),
        failed_at_(range.size()) {}

  // Run by every thread: takes pieces in address order until the end or the first failure. All
  // pieces before a failed one were taken earlier, so they succeed or lower failed_at_ themselves.
  void TouchPieces() {
    while (true) {
      const uint64_t begin = next_.fetch_add(piece_bytes_, std::memory_order_relaxed);
      if (begin >= failed_at_.load(std::memory_order_relaxed)) return;
      const uint64_t bytes = std::min(piece_bytes_, range_.size() - begin);
      if (TouchOnce(begin, bytes) == 0) continue;
      uint64_t seen = failed_at_.load(std::memory_order_relaxed);
      while (begin < seen &&
             !failed_at_.compare_exchange_weak(seen, begin, std::memory_order_relaxed)) {
      }
      return;
    }
  }

  // After the threads have ended: the exact end inside the first piece that failed.
  PopulateOutcome Finish() {
    const uint64_t end = std::min<uint64_t>(failed_at_ + piece_bytes_, range_.size());
    for (uint64_t at = failed_at_; at < end; at += spec_.page_bytes) {
      const int errnum = TouchOnce(at, spec_.page_bytes);
      if (errnum != 0) return {at, errnum};
    }
    return {end, 0};
  }

 private:
  int TouchOnce(uint64_t begin, uint64_t bytes) const {
    int errnum = EAGAIN;
    for (int i = 0; i < kMaxRepeats && (errnum == EAGAIN || errnum == EINTR); ++i) {
      errnum = touch_(range_.data() + begin, bytes);
    }
    return errnum;
  }

  const std::span<std::byte> range_;
  const PopulateSpec& spec_;
  const FunctionRef<int(std::byte*, uint64_t)> touch_;
  const uint64_t piece_bytes_;
  std::atomic<uint64_t> next_ = 0;
  std::atomic<uint64_t> failed_at_;
};

void TouchWithThreads(Populator* populator, const PopulateSpec& spec) {
  std::vector<std::jthread> threads;
  try {
    for (int i = 0; i < std::max(spec.threads, 1); ++i) {
      threads.emplace_back([populator, &spec] {
        if (spec.node) PinToNode(*spec.node);
        populator->TouchPieces();
      });
    }
  } catch (const std::system_error&) {
    // No more threads to be had: those that run, or else this one, do the work.
    if (threads.empty()) populator->TouchPieces();
  }
}

}  // namespace

PopulateOutcome Populate(std::span<std::byte> range, const PopulateSpec& spec,
                         FunctionRef<int(std::byte*, uint64_t)> touch) {
  uint64_t done_bytes = 0;
  while (done_bytes < range.size()) {
    Populator populator(range.subspan(done_bytes), spec, touch);
    if (spec.threads > 1 || spec.node) {
      TouchWithThreads(&populator, spec);
    } else {
      populator.TouchPieces();
    }
    const PopulateOutcome outcome = populator.Finish();
    done_bytes += outcome.done_bytes;
    if (outcome.errnum != 0) return {done_bytes, outcome.errnum};
  }
  return {done_bytes, 0};
}

}  // namespace llmrun
