// Models in numbers and words, as several commands show them.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "loader/index/tensor_index.h"
#include "memory/dtype.h"

namespace llmrun {

struct TensorTotal {
  uint64_t tensors = 0;
  uint64_t parameters = 0;
  uint64_t bytes = 0;
};

struct ModelTotals {
  TensorTotal all;
  std::map<DType, TensorTotal> types;
  double BitsPerWeight() const;  // 0 without parameters
};
ModelTotals TotalsOf(const TensorIndex& index);

uint64_t ElementCount(const Dims& dims);
std::string DimsText(const Dims& dims, int n_dims);  // "4096 x 32000"
// "before the layers", "layer 0", ..., "after the layers".
std::string GroupName(GroupId group, GroupId group_count);

}  // namespace llmrun
