// How fast this machine's memory can be read right now: the roof under every decode figure.
// Threads: uses the pool given; Single-thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "sched/thread_pool.h"

namespace llmrun {

// Reads all of it as fast as one core can. The sum of its 8-byte words, so that nothing is left
// out.
uint64_t SumWords(std::span<const std::byte> bytes);

// Best of a few passes in which all members of the pool read their share of a buffer that is larger
// than the caches (512 MiB, in transparent huge pages). Bytes per second. kResource without memory.
Result<double> MeasureReadBandwidth(ThreadPool& pool);

}  // namespace llmrun
