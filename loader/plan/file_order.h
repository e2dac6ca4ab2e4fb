// The tensors of a model in the order of their bytes. Internal to this folder.
#pragma once

#include <vector>

#include "loader/index/tensor_index.h"

namespace llmrun {

// Ascending (file, offset).
std::vector<TensorId> TensorsInFileOrder(const TensorIndex& index);

}  // namespace llmrun
