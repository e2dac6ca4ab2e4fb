// From a path to the index of a model: finds all its files, parses the headers and joins them.
// Reads no weights. What a file is follows from its first bytes, whatever its name.
//
// Threads: no shared state. Failure: kNoInput (names the part that is missing), kBadData and
// kUnavailable as ParseGguf(), ParseSafetensors() and TensorIndex::Build(), kOs.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "loader/index/tensor_index.h"
#include "loader/io/model_stream.h"

namespace llmrun {

// `path` may be any part of a split GGUF, any shard of a safetensors checkpoint, or its
// "x.safetensors.index.json".
Result<TensorIndex> OpenModel(const std::string& path);

// The same for running it: kUnavailable for a model of tensors alone (safetensors).
Result<TensorIndex> OpenRunnableModel(const std::string& path);

// A GGUF that comes through a stream, which then stands at its tensors' bytes. kUnavailable for
// safetensors: how long they are says their last byte.
Result<TensorIndex> OpenModelStream(ModelStream& stream);

// The files that OpenModel() would open, by their names and the index of a sharded checkpoint;
// none of them is looked into.
Result<std::vector<std::string>> ModelPartPaths(const std::string& path);

}  // namespace llmrun
