// A model that comes through a pipe or socket (`zstdcat m.gguf.zst | llm-run -m -`): received into
// a file in memory, which then is a file like any other. Pages move with splice(2); the kernel
// copies them once on their way into memory.
//
// Threads: Thread-safe. Owner: the caller owns the descriptor; its memory is freed with the last
// one. Failure: kNoInput when nothing comes, kResource before memory is exhausted, kOs.
#pragma once

#include "base/error.h"
#include "base/unique_fd.h"

namespace llmrun {

// Reads `fd` (pipe, socket or file) to its end.
Result<UniqueFd> ReceiveIntoMemory(int fd);

}  // namespace llmrun
