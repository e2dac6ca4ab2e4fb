// The workers of ThreadBackend. Each call makes one, to be used by one thread at a time.
#pragma once

#include <vector>

#include "loader/io/thread_backend.h"

namespace llmrun {

// pread(2) through either descriptor.
BlockingReader MakePreadReader(std::vector<BackendFile> files);

// splice(2) from the page cache into a pipe, then read(2) from the pipe. Splicing moves references
// to pages; the read copies them once, as any read into memory of our own does: the kernel has no
// way to splice pages into a process (vmsplice(2): in that direction "it actually just copies").
// Failure: kOs when there is no pipe to be had.
Result<BlockingReader> MakeSpliceReader(std::vector<BackendFile> files);

}  // namespace llmrun
