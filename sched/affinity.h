// Which CPUs a thread may run on, by sched_setaffinity(2). Any number of CPUs.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/error.h"

namespace llmrun {

// An affinity mask as the kernel gave it, to be given back later.
struct CpuMask {
  std::vector<unsigned long> words;  // NOLINT(google-runtime-int): the kernel's unit
};

// The CPUs of a mask, ascending.
std::vector<unsigned> CpusIn(const CpuMask& mask);

// The kernel's id of the calling thread.
pid_t ThisThreadId();
Result<CpuMask> AffinityOf(pid_t thread_id);
Status SetAffinity(pid_t thread_id, const CpuMask& mask);
// Pins a thread to one CPU. Fails (kOs) when the CPU does not exist or is not allowed here.
Status PinToCpu(pid_t thread_id, unsigned cpu);

}  // namespace llmrun
