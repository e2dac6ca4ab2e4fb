// How this processor and this kernel wait: the platform of sched/progress.h.
// Threads: Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "sched/cpu_courtesy.h"
#include "sched/cpu_relax.h"
#include "sched/futex.h"
#include "sched/monitor_wait.h"
#include "sched/wait_site.h"

namespace llmrun {

// Two cache lines: adjacent-line prefetchers couple pairs of them.
inline constexpr int kNoSharingBytes = 128;

struct NativeWaiting {
  template <typename T>
  using Atomic = std::atomic<T>;
  using Courtesy = CpuCourtesy;

  static void FutexWait(const std::atomic<uint32_t>& word, uint32_t expected) {
    llmrun::FutexWait(word, expected);
  }
  static void FutexWakeAll(const std::atomic<uint32_t>& word) { llmrun::FutexWakeAll(word); }

  // Until reached(), at most for about the time that the site grants; then sleep(), which returns
  // when it is reached. reached() depends on `value`.
  template <typename Reached, typename Sleep>
  static void Wait(const std::atomic<uint64_t>& value, const Reached& reached, const Sleep& sleep,
                   WaitSite& site) {
    const uint32_t spin_ns = site.spin_ns();
    if (spin_ns != 0 && LookSomeTimes(reached)) {
      site.Waited(0, false);
      return;
    }
    const Clock::time_point begin = Clock::now();
    const Clock::time_point deadline = begin + std::chrono::nanoseconds(spin_ns);
    bool slept = false;
    for (Clock::time_point now = begin;; now = Clock::now()) {
      if (now >= deadline) {
        slept = true;
        sleep();
        break;
      }
      // The monitor wakes a little later than PAUSE does: first a few looks.
      if (now - begin >= kMonitorAfter && CanMonitorWait()) MonitorWait(value, reached);
      if (LookSomeTimes(reached)) break;
    }
    const auto waited = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin);
    site.Waited(static_cast<uint64_t>(waited.count()), slept);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::nanoseconds kMonitorAfter{1'000};

  // The clock is read once for so many looks: it costs about as much as all of them.
  template <typename Reached>
  static bool LookSomeTimes(const Reached& reached) {
    constexpr int kLooksPerClockRead = 16;
    for (int i = 0; i < kLooksPerClockRead; ++i) {
      if (reached()) return true;
      CpuRelax();
    }
    return false;
  }
};

}  // namespace llmrun
