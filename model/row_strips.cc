#include "model/row_strips.h"

#include <utility>

namespace llmrun {

RowStrips::RowStrips(std::initializer_list<const WeightMatrix*> matrices) {
  size_t index = 0;
  for (const WeightMatrix* matrix : matrices) {
    if (matrix->sharded()) {
      sharded_ = true;
      for (const TensorPiece& piece : matrix->pieces) {
        const auto begin = static_cast<int64_t>(piece.row_begin);
        const auto rows = static_cast<int64_t>(piece.view.rows());
        strips_.push_back({.matrix = index, .rows = {begin, begin + rows}, .node = piece.node});
      }
    } else {
      // Too few rows to be dealt out, or copies: to whoever is on the first node.
      std::optional<unsigned> node;
      if (!matrix->pieces.empty()) node = matrix->pieces.front().node;
      strips_.push_back({.matrix = index, .rows = {0, matrix->rows}, .node = node});
    }
    ++index;
  }
  if (sharded_) std::ranges::stable_sort(strips_, {}, &Strip::node);
}

StepPlan RowStrips::Deal(const Team& team, Zone zone, int64_t grain) const {
  std::vector<Team::Share> shares;
  for (const Strip& strip : strips_) {
    const std::optional<unsigned> node = sharded_ ? strip.node : std::nullopt;
    if (shares.empty() || shares.back().node != node) shares.push_back({.node = node});
    shares.back().size += strip.rows.size();
  }
  return team.DealByNode(zone, shares, grain);
}

ModelStrips StripsOf(const LlamaWeights& llama) {
  std::vector<LayerStrips> layers;
  for (const LlamaLayer& layer : llama.layers) {
    layers.push_back({.qkv = RowStrips({&layer.q, &layer.k, &layer.v}),
                      .attn_output = RowStrips({&layer.attn_output}),
                      .gate = RowStrips({&layer.gate}),
                      .down = RowStrips({&layer.down})});
  }
  return {.layers = std::move(layers), .output = RowStrips({&llama.output})};
}

}  // namespace llmrun
