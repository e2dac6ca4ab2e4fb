#include "cli/describe.h"

#include <fmt/format.h>

namespace llmrun {

double ModelTotals::BitsPerWeight() const {
  if (all.parameters == 0) return 0;
  return 8.0 * static_cast<double>(all.bytes) / static_cast<double>(all.parameters);
}

ModelTotals TotalsOf(const TensorIndex& index) {
  ModelTotals totals;
  for (const IndexedTensor& tensor : index.tensors()) {
    for (TensorTotal* total : {&totals.all, &totals.types[tensor.dtype]}) {
      ++total->tensors;
      total->parameters += ElementCount(tensor.dims);
      total->bytes += tensor.extent.bytes;
    }
  }
  return totals;
}

uint64_t ElementCount(const Dims& dims) { return dims[0] * dims[1] * dims[2] * dims[3]; }

std::string DimsText(const Dims& dims, int n_dims) {
  return fmt::format("{}", fmt::join(dims.begin(), dims.begin() + n_dims, " x "));
}

std::string GroupName(GroupId group, GroupId group_count) {
  if (group == 0) return "before the layers";
  if (group + 1 == group_count) return "after the layers";
  return fmt::format("layer {}", group - 1);
}

}  // namespace llmrun
