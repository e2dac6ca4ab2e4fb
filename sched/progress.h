// A count that only grows and that threads wait for: the one place where this project spins and
// sleeps. The start of a region, its end, the end of a step and barriers are built from it.
//
// Waiting climbs a ladder: look at the count with PAUSE, then in the monitor of the core where it
// has one (sched/native_waiting.h), for as long as its site has learned that this pays; then sleep
// on a futex. Whoever reaches the target makes the wake-up call only if somebody sleeps, which is
// Dekker's argument: the sleeper announces itself in `sleepers_` and then looks at `value_`; the
// other changes `value_` and then looks at `sleepers_`. All four are sequentially consistent, so
// at least one sees the other. The futex has a word of its own, `wakes_`, that changes only when
// somebody is woken: a count of 64 bits never wraps, but the kernel compares 32.
// No separate fences: ThreadSanitizer does not model them.
//
// The template is what tests/proof checks: `Platform` brings atomics and the futex, `Orders` the
// memory orders, of which each is weakened in turn there.
//
// Threads: Thread-safe. What was written before Add() or Raise() is visible after the Await() that
// it ends. Destroy only after every Add() and Raise() returned.
#pragma once

#include <atomic>
#include <cstdint>

#include "sched/native_waiting.h"
#include "sched/wait_site.h"

namespace llmrun {

struct ProgressOrders {
  static constexpr std::memory_order kLook = std::memory_order_acquire;
  static constexpr std::memory_order kAdd = std::memory_order_seq_cst;
  static constexpr std::memory_order kAnySleeper = std::memory_order_seq_cst;
  static constexpr std::memory_order kAnnounce = std::memory_order_seq_cst;
  static constexpr std::memory_order kLastLook = std::memory_order_seq_cst;
  static constexpr std::memory_order kTicket = std::memory_order_acquire;
  static constexpr std::memory_order kWake = std::memory_order_release;
};

template <typename Platform, typename Orders = ProgressOrders>
class alignas(kNoSharingBytes) BasicProgress {
 public:
  uint64_t Load() const { return value_.load(Orders::kLook); }
  bool Reached(uint64_t target) const { return Load() >= target; }

  // Adds n and, if the count is `target` then, releases those who wait for it. Returns the count.
  // Of several who add towards one target, one reaches it.
  uint64_t Add(uint64_t n, uint64_t target) {
    const uint64_t count = value_.fetch_add(n, Orders::kAdd) + n;
    if (count == target) WakeSleepers();
    return count;
  }
  // Makes the count at least `target`. Several may raise it, in any order, if nobody adds.
  void Raise(uint64_t target) {
    uint64_t count = value_.load(std::memory_order_relaxed);
    while (count < target &&
           !value_.compare_exchange_weak(count, target, Orders::kAdd, std::memory_order_relaxed)) {
    }
    WakeSleepers();
  }
  // Returns once the count is `target` or more.
  void Await(uint64_t target, WaitSite& site) {
    if (Reached(target)) return;
    const auto reached = [&] { return Reached(target); };
    Platform::Wait(
        value_, reached, [&] { Sleep(target); }, site);
  }

  uint32_t wakes() const { return wakes_.load(std::memory_order_relaxed); }

 private:
  void Sleep(uint64_t target) {
    sleepers_.fetch_add(1, Orders::kAnnounce);
    while (true) {
      // Before the look: if the target is reached after it, this ticket is no longer valid.
      const uint32_t ticket = wakes_.load(Orders::kTicket);
      if (value_.load(Orders::kLastLook) >= target) break;
      Platform::FutexWait(wakes_, ticket);
    }
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
  void WakeSleepers() {
    if (sleepers_.load(Orders::kAnySleeper) == 0) return;
    wakes_.fetch_add(1, Orders::kWake);
    Platform::FutexWakeAll(wakes_);
  }

  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  Atomic<uint64_t> value_{0};
  Atomic<uint32_t> sleepers_{0};  // beside value_: whoever releases touches both
  Atomic<uint32_t> wakes_{0};
};

using Progress = BasicProgress<NativeWaiting>;

}  // namespace llmrun
