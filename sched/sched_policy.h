// The scheduling policy of the threads that compute (--sched=): who gets a CPU first, for how long.
//
// Real-time threads (fifo, rr) run before all others on their CPU, kernel threads included, until
// they sleep. So they hold up what the rest of the machine wants there, and waits under them are
// short (MostSpinNs). SCHED_DEADLINE is refused: it cannot be combined with pinned threads.
//
// Threads: Thread-safe. Sources: sched(7), sched_setscheduler(2), proc_sys_kernel(5),
// Documentation/scheduler/sched-deadline.rst and sched-rt-group.rst.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmrun {

enum class SchedKind : uint8_t { kOther, kBatch, kIdle, kFifo, kRr };

struct SchedPolicy {
  SchedKind kind = SchedKind::kOther;
  int priority = 0;  // kFifo, kRr: 1..99, 99 runs first; otherwise 0
  bool operator==(const SchedPolicy&) const = default;
};

inline bool IsRealtime(const SchedPolicy& policy) {
  return policy.kind == SchedKind::kFifo || policy.kind == SchedKind::kRr;
}

// "other", "batch", "idle", "fifo:10", "rr:10"; "fifo" and "rr" mean priority 1. kUsage for
// anything else, kUnavailable for "deadline".
Result<SchedPolicy> ParseSchedPolicy(std::string_view text);
std::string NameOf(const SchedPolicy& policy);  // as it is parsed

// Of one thread, by its kernel id; 0: the calling one. What PolicyOf() gives can be given back to
// ApplySchedPolicy() to restore it; nice values stay as they are.
//
// What a real-time thread starts (threads, processes, the kernel's workers for its io_uring) begins
// as an ordinary one (SCHED_RESET_ON_FORK). The thread keeps that mark when it becomes ordinary
// again: to take it away needs a privilege.
//
// Failure: kUnavailable where this process may not, with the reason and a remedy; kOs. Without
// privileges kIdle is a way of no return where RLIMIT_NICE is 0, as it usually is.
Status ApplySchedPolicy(pid_t thread_id, const SchedPolicy& policy);
// kUnavailable for a policy that is none of SchedKind (deadline, sched_ext).
Result<SchedPolicy> PolicyOf(pid_t thread_id);

// How much of each period real-time threads may run on a CPU; the rest is left to others, and for
// that long threads that compute without a pause stand still. Kernels before 6.12 leave it always,
// most later ones while somebody wants it.
struct RtLimits {
  int64_t runtime_us = 0;  // period_us or more: no limit
  int64_t period_us = 0;   // at least 1
  double Share() const;    // 0..1
};
// From sched_rt_runtime_us and sched_rt_period_us; nullopt where the kernel does not tell.
std::optional<RtLimits> ReadRtThrottle(const std::string& proc = "/proc");

// How long a waiter may spin that was asked to spin so long.
uint32_t MostSpinNs(const SchedPolicy& policy, uint32_t wanted_ns);

}  // namespace llmrun
