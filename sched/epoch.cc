#include "sched/epoch.h"

#include <chrono>

#include "sched/cpu_relax.h"
#include "sched/futex.h"

namespace llmrun {

bool Epoch::SpinUntilChange(uint32_t seen, uint32_t spin_ns) const {
  // The clock is read once for so many looks: it costs about as much as all of them.
  constexpr int kLooksPerClockRead = 16;
  using Clock = std::chrono::steady_clock;
  Clock::time_point deadline{};
  for (bool first = true;; first = false) {
    for (int i = 0; i < kLooksPerClockRead; ++i) {
      if (Load() != seen) return true;
      CpuRelax();
    }
    const Clock::time_point now = Clock::now();
    if (first) deadline = now + std::chrono::nanoseconds(spin_ns);
    if (now >= deadline) return false;
  }
}

void Epoch::AwaitChange(uint32_t seen, uint32_t spin_ns) {
  if (Load() != seen) return;
  if (spin_ns != 0 && SpinUntilChange(seen, spin_ns)) return;
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  while (value_.load(std::memory_order_seq_cst) == seen) FutexWait(value_, seen);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void Epoch::Advance() {
  value_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) FutexWakeAll(value_);
}

}  // namespace llmrun
