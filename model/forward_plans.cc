#include "model/forward_plans.h"

#include <utility>

namespace llmrun {
namespace {

// A head's tokens follow each other, because its keys stay in cache.
StepPlan DealPairs(const Team& team, const KvCache& kv, Zone zone, int64_t pairs_per_kv_head) {
  std::vector<Team::Share> shares;
  for (const KvCache::HeadsOfNode& home : kv.HeadsByNode()) {
    shares.push_back({.size = home.heads.size() * pairs_per_kv_head, .node = home.node});
  }
  return team.DealByNode(zone, shares, 1);
}

}  // namespace

const std::array<std::string_view, kForwardZones>& ForwardZoneNames() {
  static constexpr std::array<std::string_view, kForwardZones> kNames = {
      "embed",  "proceed",     "prepare", "qkv",  "store_kv",
      "attend", "attn_output", "gate_up", "down", "logits"};
  return kNames;
}

ForwardPlans PlansOf(const ModelStrips& strips, std::shared_ptr<const Team> team) {
  ForwardPlans plans;
  for (const LayerStrips& layer : strips.layers) {
    plans.layers.push_back(
        {.qkv = layer.qkv.Deal(*team, kZoneQkv, kRowGrain),
         .attn_output = layer.attn_output.Deal(*team, kZoneAttnOutput, kRowGrain),
         .gate = layer.gate.Deal(*team, kZoneGateUp, kActivationGrain),
         .down = layer.down.Deal(*team, kZoneDown, kRowGrain)});
  }
  plans.output = strips.output.Deal(*team, kZoneLogits, kRowGrain);
  plans.proceed = team->Single(kZoneProceed);
  plans.team = std::move(team);
  return plans;
}

BatchPlans PlansOfBatch(const Team& team, const KvCache& kv, const ModelConfig& config,
                        int64_t n_tokens, int64_t n_logits) {
  const int64_t heads_per_kv = config.n_heads / config.n_kv_heads;
  BatchPlans plans = {.embed = team.Deal(kZoneEmbed, n_tokens, 1),
                      .prepare = team.Deal(kZonePrepare, n_tokens, 1),
                      .prepare_logits = team.Deal(kZonePrepare, n_logits, 1),
                      .store_kv = DealPairs(team, kv, kZoneStoreKv, n_tokens),
                      .attend = DealPairs(team, kv, kZoneAttend, heads_per_kv * n_tokens)};
  // Dealt out evenly, or nearly so.
  const bool enough =
      config.n_kv_heads % team.size() == 0 || config.n_kv_heads >= 4 * int64_t{team.size()};
  if (n_tokens == 1 && enough) plans.attend_by_kv_head = DealPairs(team, kv, kZoneAttend, 1);
  return plans;
}

}  // namespace llmrun
