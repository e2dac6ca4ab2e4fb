// Counts that lose wake-ups, kept to show that the proofs find them: sched/progress.h with one
// thing wrong. progress.pml has the same under BROKEN=1 and BROKEN=2.
#pragma once

#include <atomic>
#include <cstdint>

#include "sched/native_waiting.h"
#include "sched/wait_site.h"

namespace llmrun::proof {

// kLooksEarly looks for sleepers before it changes the value: one that comes in between sleeps on.
// kLateTicket takes its ticket after it looked at the value: a wake-up in between is not noticed.
// kNoTicket has no word that changes with a wake-up: one before the sleep is not noticed.
enum class Defect { kLooksEarly, kLateTicket, kNoTicket };

template <typename Platform, Defect defect>
class alignas(kNoSharingBytes) BrokenProgress {
 public:
  uint64_t Load() const { return value_.load(std::memory_order_acquire); }

  uint64_t Add(uint64_t n, uint64_t target) {
    bool wakes = defect == Defect::kLooksEarly && AnySleeper();
    const uint64_t count = value_.fetch_add(n, std::memory_order_seq_cst) + n;
    if (defect != Defect::kLooksEarly) wakes = AnySleeper();
    if (count != target || !wakes) return count;
    if (defect != Defect::kNoTicket) wakes_.fetch_add(1, std::memory_order_release);
    Platform::FutexWakeAll(wakes_);
    return count;
  }
  void Await(uint64_t target, WaitSite& site) {
    const auto reached = [&] { return Load() >= target; };
    if (reached()) return;
    Platform::Wait(
        value_, reached, [&] { Sleep(target); }, site);
  }

 private:
  bool AnySleeper() const { return sleepers_.load(std::memory_order_seq_cst) != 0; }
  void Sleep(uint64_t target) {
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (true) {
      uint32_t ticket = wakes_.load(std::memory_order_acquire);
      if (value_.load(std::memory_order_seq_cst) >= target) break;
      if (defect == Defect::kLateTicket) ticket = wakes_.load(std::memory_order_acquire);
      Platform::FutexWait(wakes_, ticket);
    }
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  Atomic<uint64_t> value_{0};
  Atomic<uint32_t> sleepers_{0};
  Atomic<uint32_t> wakes_{0};
};

}  // namespace llmrun::proof
