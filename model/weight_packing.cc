#include "model/weight_packing.h"

#include "compute/packing.h"
#include "memory/dtype.h"

namespace llmrun {
namespace {

bool Wants(const TensorIndex& index, TensorId id) {
  const IndexedTensor& tensor = index.at(id);
  if (!CanPack(tensor.dtype, static_cast<int64_t>(tensor.dims[0]))) return false;
  // Panels do not reach from one expert into the next.
  if (tensor.n_dims > 2 && tensor.dims[1] % kPackedPanelRows != 0) return false;
  return tensor.name != "token_embd.weight" || !index.Find("output.weight");
}

}  // namespace

const RowPacking& WeightPacking() {
  static const RowPacking packing = {
      .version = kPackingVersion,
      .unit_rows = kPackedPanelRows,
      .wants = Wants,
      .pack =
          [](const IndexedTensor& tensor, std::span<std::byte> rows) {
            PackRows(tensor.dtype, static_cast<int64_t>(tensor.dims[0]), rows);
          },
      .unpack =
          [](const IndexedTensor& tensor, std::span<std::byte> rows) {
            UnpackRows(tensor.dtype, static_cast<int64_t>(tensor.dims[0]), rows);
          }};
  return packing;
}

}  // namespace llmrun
