// Why the kernel refused a thread a real-time policy (EPERM), as far as can be read afterwards.
//
// Sources: sched(7), capabilities(7), user_namespaces(7), Documentation/scheduler/sched-rt-group;
// /proc/thread-self/{limits,status,cgroup}, /proc/self/uid_map, cpu.rt_runtime_us of cgroup v1.
// Threads: Thread-safe (reads only); speaks of the calling thread.
#pragma once

#include "base/error.h"
#include "memory/limits.h"
#include "sched/sched_policy.h"

namespace llmrun {

// kUnavailable: what was wanted, what forbids it, and how to allow it.
tl::unexpected<Error> RealtimeRefusal(const SchedPolicy& policy, const LimitRoots& roots = {});

}  // namespace llmrun
