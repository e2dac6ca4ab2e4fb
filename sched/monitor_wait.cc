#include "sched/monitor_wait.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

namespace llmrun {
namespace {

enum class Kind : uint8_t { kPause, kUmwait, kMwaitx };

#if defined(__x86_64__)

constexpr uint32_t kWaitTicks = 20'000;

Kind Detect() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> 5 & 1) != 0) {
    return Kind::kUmwait;
  }
  if (__get_cpuid(0x8000'0001, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> 29 & 1) != 0) {
    return Kind::kMwaitx;
  }
  return Kind::kPause;
}

// C0.1: the lighter state, from which it wakes sooner.
__attribute__((target("waitpkg"))) void Umonitor(const void* line) {
  _umonitor(const_cast<void*>(line));
}
__attribute__((target("waitpkg"))) void Umwait() {
  constexpr unsigned kC01 = 1;
  _umwait(kC01, __rdtsc() + kWaitTicks);
}
__attribute__((target("mwaitx"))) void Monitorx(const void* line) {
  _mm_monitorx(const_cast<void*>(line), 0, 0);
}
__attribute__((target("mwaitx"))) void Mwaitx() {
  constexpr unsigned kTimerEnabled = 2;
  constexpr unsigned kC0 = 0xF0;
  _mm_mwaitx(kTimerEnabled, kC0, kWaitTicks);
}

#else

Kind Detect() { return Kind::kPause; }
void Umonitor(const void* /*line*/) {}
void Umwait() {}
void Monitorx(const void* /*line*/) {}
void Mwaitx() {}

#endif

const Kind kKind = Detect();

}  // namespace

std::string_view NameOfMonitorWait() {
  return kKind == Kind::kUmwait ? "umwait" : kKind == Kind::kMwaitx ? "mwaitx" : "pause";
}

bool CanMonitorWait() { return kKind != Kind::kPause; }

void MonitorLine(const std::atomic<uint64_t>& value) {
  kKind == Kind::kUmwait ? Umonitor(&value) : Monitorx(&value);
}

void WaitForLine() { kKind == Kind::kUmwait ? Umwait() : Mwaitx(); }

}  // namespace llmrun
