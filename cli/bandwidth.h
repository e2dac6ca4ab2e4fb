// How fast this machine's memory can be read right now: the roof under every decode figure.
// Threads: uses the pool given; Single-thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "memory/node_set.h"
#include "sched/thread_pool.h"

namespace llmrun {

// Reads all of it as fast as one core can. The sum of its 8-byte words, so that nothing is left
// out.
uint64_t SumWords(std::span<const std::byte> bytes);

// Best of a few passes in which all members of the pool read their share of a buffer in transparent
// huge pages, which should be larger than the caches. Bytes per second. kResource without memory,
// kUnavailable when it does not lie on the nodes wanted.
inline constexpr uint64_t kBandwidthBufferBytes = uint64_t{512} << 20;
Result<double> MeasureReadBandwidth(ThreadPool& pool, uint64_t bytes = kBandwidthBufferBytes,
                                    const NodeSet& nodes = {});

}  // namespace llmrun
