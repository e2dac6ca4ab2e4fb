#include "loader/plan/file_order.h"

#include <algorithm>
#include <tuple>

namespace llmrun {

std::vector<TensorId> TensorsInFileOrder(const TensorIndex& index) {
  std::vector<TensorId> order(index.tensors().size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = TensorId{i};
  std::sort(order.begin(), order.end(), [&](TensorId a, TensorId b) {
    const FileExtent& left = index.at(a).extent;
    const FileExtent& right = index.at(b).extent;
    return std::tuple(left.file, left.offset, left.bytes) <
           std::tuple(right.file, right.offset, right.bytes);  // empty ones before their neighbour
  });
  return order;
}

}  // namespace llmrun
