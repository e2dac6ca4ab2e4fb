// Writes a GGUF whose tensors are those of a model, copied or in other types, by all threads of a
// pool, some rows at a time.
// Threads: Single-thread (it uses the pool given).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/gguf/gguf_writer.h"
#include "loader/index/tensor_index.h"
#include "loader/io/output_file.h"
#include "model/importance.h"
#include "sched/thread_pool.h"

namespace llmrun {

struct TensorRecipe {
  TensorId source = {};
  DType type = DType::kF32;  // that of the source: it is copied, where nothing else is to be done
  int64_t interleaved = 0;   // rows of a head whose halves become pairs; 0: rows stay in order
  float added = 0;           // to each value
};

struct RecodeJob {
  const TensorIndex& index;
  const std::vector<TensorRecipe>& recipes;
  const GgufWriter& header;            // with a tensor for each recipe, in this order
  const ImportanceMatrix* importance;  // or null
  const char* label;                   // of the progress bar
  std::span<const float> last = {};    // values of one more tensor of the header, where it has one
};

// The file is complete, but not committed. Failure: errors of reading and writing; kBadData, naming
// file, tensor and row, for values that cannot be encoded.
Result<std::unique_ptr<OutputFile>> WriteRecoded(const RecodeJob& job, const std::string& path,
                                                 ThreadPool& pool);

}  // namespace llmrun
