// A counter that threads wait on: the one place where this project spins and sleeps. Barriers and
// the start and end of pool regions are built from it.
//
// Waiting climbs a ladder: spin with PAUSE for the given nanoseconds, then sleep on a futex. The
// releaser makes the wake-up call only if somebody sleeps, which is Dekker's argument: the waiter
// announces itself in `sleepers_` and then looks at `value_`; the releaser changes `value_` and
// then looks at `sleepers_`. All four are sequentially consistent, so at least one sees the other.
// No separate fences: ThreadSanitizer does not model them.
//
// Threads: Thread-safe. What was written before Advance() is visible after the AwaitChange() that
// it ends. Destroy only after every Advance() returned.
#pragma once

#include <atomic>
#include <cstdint>

namespace llmrun {

// Two cache lines: adjacent-line prefetchers couple pairs of them.
inline constexpr int kNoSharingBytes = 128;

class alignas(kNoSharingBytes) Epoch {
 public:
  uint32_t Load() const { return value_.load(std::memory_order_acquire); }
  // Returns once the value differs from `seen`, spinning at most about `spin_ns` before sleeping.
  // Requires: fewer than 2^32 advances while one thread waits.
  void AwaitChange(uint32_t seen, uint32_t spin_ns);
  // Adds one and releases all who wait for it.
  void Advance();

 private:
  bool SpinUntilChange(uint32_t seen, uint32_t spin_ns) const;

  std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};  // beside value_: the releaser touches both
};

}  // namespace llmrun
