// Writes GGUF files whose tensors are those of a model, byte for byte.
// Threads: Single-thread (it uses the pool given).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "loader/gguf/gguf_writer.h"
#include "loader/index/tensor_index.h"
#include "loader/io/output_file.h"
#include "sched/thread_pool.h"

namespace llmrun {

// `header` has the tensors of the index from `first` on. The file is complete, but not committed.
Result<std::unique_ptr<OutputFile>> WriteCopies(const TensorIndex& index, uint32_t first,
                                                const GgufWriter& header, const std::string& path,
                                                ThreadPool& pool);

}  // namespace llmrun
