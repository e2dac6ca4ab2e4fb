#include "model/forward_plans.h"

#include <algorithm>
#include <utility>

namespace llmrun {
namespace {

// What is to do for a head follows each other, because its keys stay in cache.
StepPlan DealPairs(const Team& team, const KvCache& kv, Zone zone, int64_t pairs_per_kv_head) {
  std::vector<Team::Share> shares;
  for (const KvCache::HeadsOfNode& home : kv.HeadsByNode()) {
    shares.push_back({.size = home.heads.size() * pairs_per_kv_head, .node = home.node});
  }
  return team.DealByNode(zone, shares, 1);
}

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// As many as read keys and values together, but several runs for each member.
int64_t TokensOfRun(const Team& team, const ModelConfig& config, int64_t n_tokens) {
  const int64_t together = kAttentionRows * config.n_kv_heads / config.n_heads;
  const int64_t fair = n_tokens * config.n_kv_heads / (4 * int64_t{team.size()});
  return std::max<int64_t>(1, std::min(together, fair));
}

ExpertPlans PlansOfExperts(const Team& team, const ModelConfig& config, int64_t n_tokens) {
  ExpertPlans plans;
  if (!config.has_experts()) return plans;
  const int64_t rows = n_tokens * config.n_experts_used;
  const int64_t gate_panels = ExpertPanels(config.d_ff_expert);
  if (n_tokens == 1) {
    plans.gate = team.Deal(kZoneGateUp, rows * gate_panels, 1);
    plans.down = team.Deal(kZoneDown, config.d_model, kRowGrain);
    return plans;
  }
  // About one panel, where all experts have as many rows.
  const int64_t grain = CeilDiv(rows, std::min(config.n_experts, rows));
  plans.route = team.Deal(kZoneRoute, n_tokens, 1);
  plans.gather = team.Deal(kZoneGather, rows, 1);
  plans.gate = team.Deal(kZoneGateUp, rows * gate_panels, grain);
  plans.down = team.Deal(kZoneDown, rows * ExpertPanels(config.d_model), grain);
  plans.add = team.Deal(kZoneAddExperts, n_tokens, 1);
  return plans;
}

}  // namespace

const std::array<std::string_view, kForwardZones>& ForwardZoneNames() {
  static constexpr std::array<std::string_view, kForwardZones> kNames = {
      "embed",       "proceed", "prepare", "latent", "qkv",    "store_kv",    "attend",
      "attn_output", "gate_up", "down",    "route",  "gather", "add_experts", "logits"};
  return kNames;
}

ForwardPlans PlansOf(const ModelStrips& strips, std::shared_ptr<const Team> team) {
  ForwardPlans plans;
  for (const LayerStrips& layer : strips.layers) {
    plans.layers.push_back(
        {.latent = layer.latent.Deal(*team, kZoneLatent, kRowGrain),
         .q = layer.q.Deal(*team, kZoneQkv, kRowGrain),
         .qkv = layer.qkv.Deal(*team, kZoneQkv, kRowGrain),
         .v = layer.v.Deal(*team, kZoneQkv, kRowGrain),
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
                        const BatchShape& batch) {
  BatchPlans plans = {
      .embed = team.Deal(kZoneEmbed, batch.n_tokens, 1),
      .prepare = team.Deal(kZonePrepare, batch.n_tokens, 1),
      .prepare_logits = team.Deal(kZonePrepare, batch.n_logits, 1),
      .store_kv = DealPairs(team, kv, kZoneStoreKv, batch.n_tokens),
      .by_head =
          team.Deal(kZonePrepare, config.latent.cached ? batch.n_tokens * config.n_heads : 0, 1),
      .experts = PlansOfExperts(team, config, batch.n_tokens)};
  if (batch.n_tokens > 1) {
    plans.tokens_of_run = TokensOfRun(team, config, batch.n_tokens);
    plans.attend = DealPairs(team, kv, kZoneAttend, CeilDiv(batch.n_tokens, plans.tokens_of_run));
    return plans;
  }
  // Dealt out evenly, or nearly so.
  const bool enough =
      config.n_kv_heads % team.size() == 0 || config.n_kv_heads >= 4 * int64_t{team.size()};
  if (enough) {
    plans.attend_by_kv_head = DealPairs(team, kv, kZoneAttend, 1);
  } else {
    plans.n_chunks = CeilDiv(batch.position + 1, kAttentionChunk);
    plans.attend_chunks = DealPairs(team, kv, kZoneAttend, plans.n_chunks);
  }
  return plans;
}

}  // namespace llmrun
