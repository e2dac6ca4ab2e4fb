// From a path to the index of a model: opens the file, or all parts of a split model, parses the
// headers and joins them. Reads no weights.
#pragma once

#include <string>

#include "base/error.h"
#include "loader/index/tensor_index.h"

namespace llmrun {

// `path` may be any part of a split model. Failure: kNoInput (names the part that is missing),
// kBadData and kUnavailable as ParseGguf() and TensorIndex::Build(), kOs.
Result<TensorIndex> OpenModel(const std::string& path);

}  // namespace llmrun
