// Writes a laid-out synthetic model to disk, by all threads of a pool at once.
// Threads: Single-thread (it uses the pool given).
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "cli/synth_shape.h"
#include "sched/thread_pool.h"

namespace llmrun {

// The file appears under `path` when it is complete and on the device; until then it is
// "<path>.<pid>.tmp", which is removed on failure and on Ctrl-C (kUsage "interrupted"). Replaces a
// file that is there. The bytes depend on layout and seed, not on the pool.
// Failure: kResource with numbers when the file system lacks the space, kNoInput, kOs.
Status WriteSynthFile(const SynthLayout& layout, uint64_t seed, const std::string& path,
                      ThreadPool& pool);

}  // namespace llmrun
