// What a load does with tensors that have arrived, before their group's latch: it brings their rows
// into the order in which they will be used, where they lie. The loader knows no order; who
// computes with the weights gives it (model/weight_packing.h).
//
// Threads: the functions are called on several threads at once. Must outlive the Weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "loader/index/tensor_index.h"

namespace llmrun {

struct RowPacking {
  uint32_t version = 0;  // of the order, above 0: weights left resident in another are not attached
  uint64_t unit_rows = 1;  // as many are packed together; the rest behind them stays as it is
  std::function<bool(const TensorIndex&, TensorId)>
      wants;  // pure: the same for each load of a file
  // Whole units of rows of such a tensor, in place; and back again.
  std::function<void(const IndexedTensor&, std::span<std::byte> rows)> pack;
  std::function<void(const IndexedTensor&, std::span<std::byte> rows)> unpack;
};

}  // namespace llmrun
