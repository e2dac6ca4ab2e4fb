// Who may take part in a region of a pool: members enter while it is open; closing it waits for
// those inside and for nobody else, so that a member that wakes up late costs nothing.
//
// Threads: Open() and Close() belong to the caller of regions, TryEnter() and Leave() to members.
// What was written before Open() is visible after TryEnter(); what before Leave(), after Close().
// Templates: as in sched/progress.h.
#pragma once

#include <atomic>
#include <cstdint>

#include "sched/progress.h"

namespace llmrun {

struct RegionGateOrders {
  static constexpr std::memory_order kOpen = std::memory_order_release;
  static constexpr std::memory_order kEnter = std::memory_order_acquire;
  static constexpr std::memory_order kLeave = std::memory_order_acq_rel;
  static constexpr std::memory_order kClose = std::memory_order_acquire;
};

template <typename Platform, typename Orders = RegionGateOrders>
class alignas(kNoSharingBytes) BasicRegionGate {
 public:
  // Region `number` may be entered. Requires: the gate is closed and empty; numbers grow from 1.
  void Open(uint32_t number) {
    state_.store(uint64_t{number} << kInsideBits | kOpen, Orders::kOpen);
  }

  // Enters the region that is open, unless that is `last`: false then, or when none is. Sets
  // `last`.
  bool TryEnter(uint32_t* last) {
    uint64_t seen = state_.load(std::memory_order_relaxed);
    while (true) {
      const auto number = static_cast<uint32_t>(seen >> kInsideBits);
      if ((seen & kOpen) == 0 || number == *last) return false;
      if (state_.compare_exchange_weak(seen, seen + 1, Orders::kEnter, std::memory_order_relaxed)) {
        *last = number;
        return true;
      }
    }
  }
  void Leave() {
    const uint64_t left = state_.fetch_sub(1, Orders::kLeave) - 1;
    if ((left & (kOpen | kInside)) == 0) empty_.Add(1, empty_.Load() + 1);
  }
  // Nobody enters any more; returns when nobody is inside.
  void Close(WaitSite& site) {
    const uint64_t seen = state_.fetch_and(~kOpen, Orders::kClose);
    if ((seen & kInside) != 0) empty_.Await(++emptied_, site);
  }

  uint32_t wakes() const { return empty_.wakes(); }

 private:
  // number | open | how many are inside
  static constexpr int kInsideBits = 32;
  static constexpr uint64_t kOpen = uint64_t{1} << 31;
  static constexpr uint64_t kInside = kOpen - 1;

  typename Platform::template Atomic<uint64_t> state_{0};
  uint64_t emptied_ = 0;  // how often the last one had to be waited for; the caller's
  BasicProgress<Platform> empty_;
};

using RegionGate = BasicRegionGate<NativeWaiting>;

}  // namespace llmrun
