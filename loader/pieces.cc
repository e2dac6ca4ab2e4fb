// Where tensors lie in the memory of a load.
#include <optional>
#include <span>

#include "base/check.h"
#include "loader/weights_impl.h"

namespace llmrun {
namespace {

// The rows of a part as a tensor of their own.
TensorView ViewOf(const IndexedTensor& tensor, const TensorPart& part, const std::byte* base) {
  TensorView view{.dtype = tensor.dtype, .n_dims = tensor.n_dims, .dims = tensor.dims};
  if (part.extent.bytes < tensor.extent.bytes) {
    const uint64_t rows = part.row_end - part.row_begin;
    if (tensor.n_dims <= 2) {
      view.dims[1] = rows;
    } else {
      view.dims[2] = rows / tensor.dims[1];
      view.dims[3] = 1;
    }
  }
  view.data = part.extent.bytes == 0 ? nullptr : base;
  view.bytes = part.extent.bytes;
  return view;
}

}  // namespace

void Weights::Impl::FindPieces() {
  const size_t n_copies = plan.mirrored ? plan.arenas.size() : 1;
  for (const TensorPart& part : plan.parts) {
    const IndexedTensor& tensor = index.at(part.tensor);
    const uint32_t arena = plan.segments[part.segment].arena;
    const bool cut = plan.tensors[static_cast<uint32_t>(part.tensor)].count > 1;
    for (size_t copy = 0; copy < n_copies; ++copy) {
      const std::byte* base =
          part.extent.bytes == 0 ? nullptr : bases[arena + copy] + ArenaOffset(plan, part);
      std::optional<unsigned> node;
      if (!plan.arenas.empty() && (cut || plan.mirrored)) {
        node = OnlyNode(plan.arenas[arena + copy].nodes);
      }
      pieces.push_back({part.row_begin, ViewOf(tensor, part, base), node});
    }
  }
}

std::span<const TensorPiece> Weights::Impl::Pieces(TensorId id) const {
  const TensorParts& parts = plan.tensors[static_cast<uint32_t>(id)];
  const size_t n_copies = plan.mirrored ? plan.arenas.size() : 1;
  return std::span(pieces).subspan(parts.first * n_copies, parts.count * n_copies);
}

TensorView Weights::Impl::View(TensorId id) const {
  CHECK(plan.tensors[static_cast<uint32_t>(id)].count == 1);
  return Pieces(id).front().view;
}

}  // namespace llmrun
