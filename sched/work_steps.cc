#include "sched/work_steps.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace llmrun {
namespace {

constexpr int64_t kPiecesOfRest = 3;

}  // namespace

WorkSteps::WorkSteps(std::vector<std::optional<unsigned>> nodes, uint32_t spin_ns)
    : nodes_(std::move(nodes)),
      spin_ns_(spin_ns),
      cursors_(std::make_unique<Cursor[]>(nodes_.size())),
      own_(std::make_unique<Own[]>(nodes_.size())) {
  CHECK(!nodes_.empty());
}

// Relaxed throughout: whoever takes a piece has seen the epoch of this step, and with it all that
// was written before; what it writes is published by Report().
bool WorkSteps::Take(int member, uint64_t step, Range home, int64_t unit, Range* piece) {
  const int64_t units = (home.size() + unit - 1) / unit;
  if (units <= 0) return false;
  CHECK(units < int64_t{1} << kUnitBits);
  std::atomic<uint64_t>& cursor = cursors_[static_cast<size_t>(member)].at;
  uint64_t seen = cursor.load(std::memory_order_relaxed);
  while (true) {
    const uint64_t seen_step = seen >> kUnitBits;
    if (seen_step > step) return false;  // this step is over
    const auto next =
        static_cast<int64_t>(seen_step == step ? seen & ((uint64_t{1} << kUnitBits) - 1) : 0);
    if (next >= units) return false;
    const int64_t end = next + std::max<int64_t>(1, (units - next) / kPiecesOfRest);
    const uint64_t taken = step << kUnitBits | static_cast<uint64_t>(end);
    if (!cursor.compare_exchange_weak(seen, taken, std::memory_order_relaxed)) continue;
    *piece = {home.begin + next * unit, std::min(home.begin + end * unit, home.end)};
    return true;
  }
}

void WorkSteps::Report(uint64_t step, int64_t done, int64_t total) {
  if (done > 0 && done_.fetch_add(done, std::memory_order_acq_rel) + done == total) {
    // The last of it. Nobody takes work of the next step before seeing its epoch.
    done_.store(0, std::memory_order_relaxed);
    count_.store(step + 1, std::memory_order_release);
    epoch_.Advance();
    return;
  }
  epoch_.AwaitChange(static_cast<uint32_t>(step), spin_ns_);
}

}  // namespace llmrun
