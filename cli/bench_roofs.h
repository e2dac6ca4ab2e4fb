// What the machine can do at most for a model, with the threads that run it: how fast its own
// weights can be read, and how fast their products could be computed.
// Threads: uses the pool given; Single-thread.
#pragma once

#include <vector>

#include "compute/kernels.h"
#include "model/llama_weights.h"
#include "model/pass_costs.h"
#include "sched/read_rate.h"
#include "sched/thread_pool.h"

namespace llmrun {

// Where the matrices lie.
std::vector<ReadArea> AreasOf(const LlamaWeights& llama);

// Bytes per second, of all matrices (of mirrored ones each copy by those who are near).
double MeasureWeightsRead(ThreadPool& pool, const LlamaWeights& llama);

// Multiply-adds per second of a pass that does nothing else. Requires: costs of a pass that has
// some.
double MeasureMacRoof(ThreadPool& pool, const Kernels& kernels, const PassCosts& costs);

}  // namespace llmrun
