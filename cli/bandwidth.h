// How fast memory of this machine can be read right now.
// Threads: uses the pool given; Single-thread.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "memory/node_set.h"
#include "sched/thread_pool.h"

namespace llmrun {

// MeasureReadRate() of a buffer in transparent huge pages, which should be larger than the caches.
// Bytes per second. kResource without memory, kUnavailable when it does not lie on the nodes
// wanted.
Result<double> MeasureReadBandwidth(ThreadPool& pool, uint64_t bytes, const NodeSet& nodes);

}  // namespace llmrun
