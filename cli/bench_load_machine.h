// What a figure of bench-load depends on, so that it can be compared with another machine's.
// Threads: Thread-safe. Failure: kNoInput for a file that is not there any more, kUsage for an
// instruction set that LLM_RUN_ISA names and this machine lacks.
#pragma once

#include "base/error.h"
#include "cli/output.h"
#include "loader/index/tensor_index.h"
#include "memory/machine.h"

namespace llmrun {

// Processor, memory, kernel, file system and device of the model's first file, and this build.
Result<Json> DescribeMachine(const Machine& machine, const TensorIndex& index);

}  // namespace llmrun
