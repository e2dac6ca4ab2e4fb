// How fast this machine's memory can be read right now: the roof under every decode figure.
// Threads: uses the pool given; Single-thread.
#pragma once

#include "base/error.h"
#include "sched/thread_pool.h"

namespace llmrun {

// Best of a few passes in which all members of the pool read their share of a buffer that is larger
// than the caches (512 MiB, in transparent huge pages). Bytes per second. kResource without memory.
Result<double> MeasureReadBandwidth(ThreadPool& pool);

}  // namespace llmrun
