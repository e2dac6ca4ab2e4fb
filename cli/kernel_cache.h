// What was measured of the kernels of single tokens (compute/kernel_choice.h), kept between runs in
// CacheFile("kernels.json"). Without a place to keep it, it is measured each time.
// Threads: Single-thread. Failure: none.
#pragma once

#include "memory/machine.h"
#include "model/kernel_tuning.h"

namespace llmrun {

// Gives a tuning that measures what is known of this machine, and has it keep what it measures.
// `machine` must outlive it.
void UseKernelCache(const Machine& machine, KernelTuning* tuning);
// Says on stderr what was measured, if anything.
void NoteTuned(const KernelTuned& tuned);

}  // namespace llmrun
