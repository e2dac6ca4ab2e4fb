// Waiting in the core itself for a store to a cache line: UMONITOR/UMWAIT (Intel, WAITPKG) or
// MONITORX/MWAITX (AMD). It spends less power than PAUSE and leaves the sibling the execution
// units. Sources: Intel SDM vol. 2, "UMWAIT"; AMD APM vol. 3, "MWAITX". Threads: Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace llmrun {

// "umwait", "mwaitx", or "pause" where the processor has neither. Chosen once.
std::string_view NameOfMonitorWait();
bool CanMonitorWait();

// Arms the monitor and waits for a store to the line of `value`, at most about 20'000 ticks of the
// time stamp counter (5 to 10 us); may return at any time for no reason. Requires:
// CanMonitorWait().
void MonitorLine(const std::atomic<uint64_t>& value);
void WaitForLine();

// Both, with a look between: a store before the monitor was armed wakes nobody.
template <typename Reached>
void MonitorWait(const std::atomic<uint64_t>& value, const Reached& reached) {
  MonitorLine(value);
  if (!reached()) WaitForLine();
}

}  // namespace llmrun
