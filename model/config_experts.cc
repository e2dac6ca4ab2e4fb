#include <fmt/format.h>

#include <algorithm>

#include "model/config_parts.h"

namespace llmrun {
namespace {

// What a mixture may say of its router beside the numbers: that it is as it is here.
Status CheckRouter(const ConfigReader& reader) {
  struct Known {
    const char* key;
    double value;
  };
  constexpr Known kKnown[] = {{"expert_shared_count", 0},
                              {"expert_gating_func", 1},  // softmax
                              {"expert_weights_scale", 1},
                              {"expert_group_count", 1},
                              {"leading_dense_block_count", 0}};
  for (const auto& [key, value] : kKnown) {
    ASSIGN_OR_RETURN(const double found, reader.FloatOr(key, value, -1e9, 1e9));
    if (found != value) {
      return reader.Fail(ErrorCode::kUnavailable, key,
                         fmt::format("{:g} is not supported (only {:g} is)", found, value));
    }
  }
  ASSIGN_OR_RETURN(const bool renormalized, reader.BoolOr("expert_weights_norm", true));
  if (renormalized) return {};
  return reader.Fail(ErrorCode::kUnavailable, "expert_weights_norm",
                     "false is not supported (only true is)");
}

Status ReadGroups(const ConfigReader& reader, ModelConfig* config) {
  constexpr const char* kCountKey = "expert_group_count";
  ExpertRouter& router = config->router;
  const auto n_experts = static_cast<uint64_t>(config->n_experts);
  ASSIGN_OR_RETURN(router.n_groups, reader.UintOr(kCountKey, 1, {1, n_experts}));
  if (config->n_experts % router.n_groups != 0) {
    return reader.Fail(ErrorCode::kBadData, kCountKey,
                       fmt::format("expected a divisor of expert_count {}, found {}",
                                   config->n_experts, router.n_groups));
  }
  const auto n_groups = static_cast<uint64_t>(router.n_groups);
  ASSIGN_OR_RETURN(router.n_groups_used,
                   reader.UintOr("expert_group_used_count", router.n_groups, {1, n_groups}));
  const int64_t in_reach = config->n_experts / router.n_groups * router.n_groups_used;
  if (config->n_experts_used <= in_reach) return {};
  return reader.Fail(ErrorCode::kBadData, "expert_group_used_count",
                     fmt::format("{} groups have {} experts, but expert_used_count is {}",
                                 router.n_groups_used, in_reach, config->n_experts_used));
}

Status ReadDeepseekExperts(const ConfigReader& reader, ModelConfig* config) {
  constexpr const char* kGatingKey = "expert_gating_func";
  ASSIGN_OR_RETURN(
      config->n_dense_layers,
      reader.UintOr("leading_dense_block_count", 0, {0, static_cast<uint64_t>(config->n_layers)}));
  const uint64_t most_shared = kMaxFeedForward / static_cast<uint64_t>(config->d_ff_expert);
  ASSIGN_OR_RETURN(const int64_t n_shared,
                   reader.UintOr("expert_shared_count", 0, {0, most_shared}));
  config->d_ff_shared = n_shared * config->d_ff_expert;
  ASSIGN_OR_RETURN(const int64_t gating, reader.UintOr(kGatingKey, 1, {0, UINT32_MAX}));
  if (gating != 1 && gating != 2) {
    return reader.Fail(
        ErrorCode::kUnavailable, kGatingKey,
        fmt::format("{} is not supported (1, softmax, and 2, sigmoid, are)", gating));
  }
  config->router.sigmoid = gating == 2;
  ASSIGN_OR_RETURN(config->router.renormalizes, reader.BoolOr("expert_weights_norm", false));
  ASSIGN_OR_RETURN(config->router.scale, reader.FloatOr("expert_weights_scale", 1, 1e-6, 1e6));
  return ReadGroups(reader, config);
}

}  // namespace

Status ReadExperts(const ConfigReader& reader, ModelConfig* config) {
  const Presence experts = config->kind.experts;
  ASSIGN_OR_RETURN(const int64_t count, reader.UintOr("expert_count", 0, {0, UINT32_MAX}));
  if (count == 0 && experts != Presence::kAlways) return {};
  if (experts == Presence::kNever) {
    return reader.Fail(ErrorCode::kUnavailable, "expert_count",
                       fmt::format("mixture-of-experts {} ({} experts) is not supported",
                                   config->architecture, count));
  }
  ASSIGN_OR_RETURN(config->n_experts, reader.Uint("expert_count", {2, kMaxExperts}));
  const uint64_t most_used = std::min(static_cast<uint64_t>(count), kMaxExpertsUsed);
  ASSIGN_OR_RETURN(config->n_experts_used, reader.Uint("expert_used_count", {1, most_used}));
  // Where it is not said, feed_forward_length is that of an expert.
  ASSIGN_OR_RETURN(config->d_ff_expert,
                   reader.UintOr("expert_feed_forward_length", config->d_ff, {1, kMaxFeedForward}));
  if (config->kind.deepseek_experts) return ReadDeepseekExperts(reader, config);
  return CheckRouter(reader);
}

}  // namespace llmrun
