#include "loader/plan/file_order.h"

#include <algorithm>
#include <utility>

namespace llmrun {

std::vector<TensorId> TensorsInFileOrder(const TensorIndex& index) {
  std::vector<TensorId> order(index.tensors().size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = TensorId{i};
  std::sort(order.begin(), order.end(), [&](TensorId a, TensorId b) {
    const FileExtent& left = index.at(a).extent;
    const FileExtent& right = index.at(b).extent;
    return std::pair(left.file, left.offset) < std::pair(right.file, right.offset);
  });
  return order;
}

}  // namespace llmrun
