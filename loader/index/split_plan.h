// How a model is cut into parts, each a GGUF of its own.
// Source: gguf-split of the ggml project (names, split.* keys, metadata in the first part).
//
// Threads: pure functions. Failure: kUsage when there would be more parts than can be numbered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loader/gguf/gguf_writer.h"
#include "loader/index/tensor_index.h"

namespace llmrun {

// The path of part `number` (from 1) of `count`: "<prefix>-00002-of-00005.gguf".
// SplitPartPaths() (tensor_index.h) goes the other way.
std::string SplitPartPath(std::string_view prefix, size_t number, size_t count);

struct SplitLimits {
  uint64_t max_tensors = 0;  // 0: any number
  uint64_t max_bytes = 0;    // of tensors, 0: any number; a larger tensor is a part of its own
};

struct SplitPart {
  uint32_t first = 0;  // tensors [first, last) of the index
  uint32_t last = 0;
  uint64_t bytes = 0;  // of its tensors
};

// Tensors stay in their order. At least one part.
Result<std::vector<SplitPart>> PlanSplit(const TensorIndex& index, const SplitLimits& limits);

// The header of part `number` of these: the first has all metadata, the others what says that they
// are parts. Errors as GgufWriter::AddTensor().
Result<GgufWriter> SplitPartHeader(const TensorIndex& index, const std::vector<SplitPart>& parts,
                                   size_t number);

// The header of the whole model, without what says that it was split.
Result<GgufWriter> MergedHeader(const TensorIndex& index);

// Adds the tensors [first, last) of an index with their own types.
Status AddTensorsOf(const TensorIndex& index, uint32_t first, uint32_t last, GgufWriter* header);

}  // namespace llmrun
