#include "model/row_strips.h"

#include <algorithm>
#include <utility>

namespace llmrun {

RowStrips::RowStrips(std::initializer_list<Source> sources) {
  size_t index = 0;
  for (const auto& [matrix, rows_per_group] : sources) {
    if (matrix->sharded()) {
      sharded_ = true;
      for (const TensorPiece& piece : matrix->pieces) {
        const auto begin = static_cast<int64_t>(piece.row_begin) - matrix->first_row;
        const auto rows = static_cast<int64_t>(piece.view.rows());
        const Range here{std::max<int64_t>(begin, 0), std::min(begin + rows, matrix->rows)};
        if (here.empty()) continue;  // rows of another matrix of the same tensor
        Add({.matrix = index, .rows = here, .node = piece.node}, rows_per_group);
      }
    } else {
      // Too few rows to be dealt out, or copies: to whoever is on the first node.
      std::optional<unsigned> node;
      if (!matrix->pieces.empty()) node = matrix->pieces.front().node;
      Add({.matrix = index, .rows = {0, matrix->rows}, .node = node}, rows_per_group);
    }
    ++index;
  }
  std::ranges::stable_sort(strips_, [&](const Strip& a, const Strip& b) {
    if (sharded_ && a.node != b.node) return a.node < b.node;
    return a.group < b.group;
  });
}

// Cut at the borders of groups.
void RowStrips::Add(Strip strip, int64_t rows_per_group) {
  const int64_t end = strip.rows.end;
  if (rows_per_group == 0) rows_per_group = end;
  while (strip.rows.begin < end) {
    strip.group = strip.rows.begin / rows_per_group;
    strip.rows.end = std::min(end, (strip.group + 1) * rows_per_group);
    strips_.push_back(strip);
    strip.rows.begin = strip.rows.end;
  }
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

namespace {

LayerStrips StripsOfLayer(const LlamaLayer& layer, const ModelConfig& config) {
  const bool experts = layer.router.rows > 0;
  const GatedMatrices& ffn = experts ? layer.shared : layer.ffn;
  LayerStrips strips{.latent = RowStrips({}),
                     .q = RowStrips({}),
                     .qkv = RowStrips({}),
                     .v = RowStrips({}),
                     .attn_output = RowStrips({{&layer.attn_output}}),
                     .gate = RowStrips({{&ffn.gate}}),
                     .down = RowStrips({{&ffn.down}})};
  const LatentMatrices& latent = layer.latent;
  if (!config.has_latent()) {
    const int64_t q_rows = config.n_heads / config.n_kv_heads * config.head_dim;
    strips.qkv =
        RowStrips({{&layer.q, q_rows}, {&layer.k, config.head_dim}, {&layer.v, config.value_dim}});
    return strips;
  }
  if (config.latent.q_rank == 0) {
    strips.latent = RowStrips({{&layer.q}, {&latent.kv_a}});
  } else {
    strips.latent = RowStrips({{&latent.q_a}, {&latent.kv_a}});
    strips.q = RowStrips({{&layer.q}});
  }
  if (config.latent.cached) {
    strips.qkv = RowStrips({{&latent.k_b, config.latent.kv_rank}});
    strips.v = RowStrips({{&latent.v_b, config.latent.output_dim}});
  } else {
    strips.qkv = RowStrips({{&latent.kv_b, config.latent_rows()}});
  }
  return strips;
}

}  // namespace

ModelStrips StripsOf(const LlamaWeights& llama, const ModelConfig& config) {
  std::vector<LayerStrips> layers;
  for (const LlamaLayer& layer : llama.layers) layers.push_back(StripsOfLayer(layer, config));
  return {.layers = std::move(layers), .output = RowStrips({{&llama.output}})};
}

}  // namespace llmrun
