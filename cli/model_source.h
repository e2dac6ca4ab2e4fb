// A model's index, and where its weights come from: its files, or a pipe or socket at standard
// input, which gives each byte once.
// Threads: Single-thread. The stream must outlive the load of its weights.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "loader/index/tensor_index.h"
#include "loader/io/model_stream.h"

namespace llmrun {

struct ModelSource {
  std::unique_ptr<ModelStream> stream;  // for LoadOptions::stream; null: files
  TensorIndex index;
};

// `path` as ModelPath() gives it: "-" is standard input. Failure: as OpenModel() and
// ModelStream::Open().
Result<ModelSource> OpenSource(const std::string& path);
// The same for running it: as OpenRunnableModel().
Result<ModelSource> OpenRunnableSource(const std::string& path);

}  // namespace llmrun
