// Fills a file by all threads of a pool at once, chunk by chunk, with a progress bar. Used by the
// commands that write models.
// Threads: Single-thread (it uses the pool given).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/function_ref.h"
#include "loader/io/output_file.h"
#include "sched/thread_pool.h"

namespace llmrun {

// Where a chunk of a file begins, and how long it is.
struct ChunkPlace {
  uint64_t file_offset = 0;
  uint64_t bytes = 0;
};

// Makes the bytes of chunk i. Called by several threads at once.
using FillChunk = FunctionRef<Status(size_t i, std::span<std::byte> out)>;

// Ends with the first error, and with kUsage "interrupted" on Ctrl-C. The file is not committed.
Status WriteChunks(OutputFile& file, const std::vector<ChunkPlace>& chunks, FillChunk fill,
                   const std::string& label, ThreadPool& pool);

// The checks before a file is made: kUsage for a directory, and, without `force`, for a file that
// is there.
Status CheckOutputPath(const std::string& path, bool force);

}  // namespace llmrun
