#include "model/row_strips.h"

#include <utility>

namespace llmrun {
namespace {

bool HasMembers(std::span<const NodePlace> places, std::optional<unsigned> node) {
  return std::ranges::any_of(places, [&](const NodePlace& place) { return place.node == node; });
}

}  // namespace

RowStrips::RowStrips(std::initializer_list<const WeightMatrix*> matrices,
                     std::span<const NodePlace> places)
    : places_(places) {
  by_node_ = !HasMembers(places, std::nullopt);
  bool any_sharded = false;
  size_t index = 0;
  for (const WeightMatrix* matrix : matrices) {
    if (matrix->sharded()) {
      any_sharded = true;
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
  by_node_ &= any_sharded && std::ranges::all_of(strips_, [&](const Strip& strip) {
                return HasMembers(places, strip.node);
              });
  if (by_node_) std::ranges::stable_sort(strips_, {}, &Strip::node);
  for (const Strip& strip : strips_) total_ += strip.rows.size();
}

Range RowStrips::Home(int member, int64_t unit) const {
  if (!by_node_) return StaticRange(total_, static_cast<int>(places_.size()), member, unit);
  const NodePlace& place = places_[static_cast<size_t>(member)];
  int64_t before = 0;
  int64_t here = 0;
  for (const Strip& strip : strips_) {
    if (strip.node < place.node) before += strip.rows.size();
    if (strip.node == place.node) here += strip.rows.size();
  }
  const Range own = StaticRange(here, place.members, place.rank, unit);
  return {before + own.begin, before + own.end};
}

ModelStrips StripsOf(const LlamaWeights& llama, std::span<const NodePlace> places) {
  std::vector<LayerStrips> layers;
  for (const LlamaLayer& layer : llama.layers) {
    layers.push_back({.qkv = RowStrips({&layer.q, &layer.k, &layer.v}, places),
                      .attn_output = RowStrips({&layer.attn_output}, places),
                      .gate = RowStrips({&layer.gate}, places),
                      .down = RowStrips({&layer.down}, places)});
  }
  return {.layers = std::move(layers), .output = RowStrips({&llama.output}, places)};
}

}  // namespace llmrun
