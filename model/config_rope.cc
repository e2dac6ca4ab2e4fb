#include <fmt/format.h>

#include <cmath>

#include "loader/gguf/printable.h"
#include "model/config_parts.h"

namespace llmrun {
namespace {

// LongRoPE (Ding et al. 2024): factors for each pair, one set for contexts up to the original
// length and one beyond, and a magnitude.
Status ReadLongRope(const ConfigReader& reader, ModelConfig* config) {
  constexpr const char* kMagnitudeKey = "rope.scaling.attn_factor";
  ASSIGN_OR_RETURN(config->rope_magnitude, reader.FloatOr(kMagnitudeKey, 1, 1e-3, 1e3));
  if (config->kind.long_rope) {
    ASSIGN_OR_RETURN(config->rope_short_context,
                     reader.UintOr("rope.scaling.original_context_length", config->n_ctx_train,
                                   {1, kMaxContext}));
    return {};
  }
  if (config->rope_magnitude == 1) return {};
  return reader.Fail(ErrorCode::kUnavailable, kMagnitudeKey,
                     fmt::format("{:g} is not supported for {} (only 1 is)", config->rope_magnitude,
                                 config->architecture));
}

// YaRN (model/rope.h), which makes what it rotates longer, too.
Status ReadYarn(const ConfigReader& reader, ModelConfig* config) {
  // Keys that could say otherwise than what is done here.
  for (const char* key : {"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor"}) {
    ASSIGN_OR_RETURN(const double found, reader.FloatOr(key, 1, -1e9, 1e9));
    if (found == 1) continue;
    return reader.Fail(ErrorCode::kUnavailable, key,
                       fmt::format("{:g} is not supported (only 1 is)", found));
  }
  if (config->rope_base <= 1) {  // all pairs turn as fast
    return reader.Fail(
        ErrorCode::kBadData, "rope.freq_base",
        fmt::format("expected more than 1 with YaRN, found {:g}", config->rope_base));
  }
  ASSIGN_OR_RETURN(const double factor, reader.Float("rope.scaling.factor", 1, 1e6));
  YarnParams yarn;
  ASSIGN_OR_RETURN(yarn.original_context, reader.UintOr("rope.scaling.original_context_length",
                                                        config->n_ctx_train, {1, kMaxContext}));
  ASSIGN_OR_RETURN(yarn.beta_fast,
                   reader.FloatOr("rope.scaling.yarn_beta_fast", yarn.beta_fast, 1e-3, 1e6));
  ASSIGN_OR_RETURN(yarn.beta_slow,
                   reader.FloatOr("rope.scaling.yarn_beta_slow", yarn.beta_slow, 1e-3, 1e6));
  config->yarn = yarn;
  config->rope_scale = 1 / factor;
  constexpr const char* kLogKey = "rope.scaling.yarn_log_multiplier";
  ASSIGN_OR_RETURN(const double log_multiplier, reader.FloatOr(kLogKey, 0, 0, 1e3));
  if (config->has_latent()) {
    // Queries and keys as a whole, not what is rotated of them.
    const double magnitude = 1 + log_multiplier * std::log(factor);
    config->attention_scale *= magnitude * magnitude;
    return {};
  }
  if (log_multiplier != 0) {
    return reader.Fail(ErrorCode::kUnavailable, kLogKey,
                       fmt::format("{:g} is not supported for {} (only 0 is)", log_multiplier,
                                   config->architecture));
  }
  config->rope_magnitude *= 1 + 0.1 * std::log(factor);
  return {};
}

Status ReadRopeScaling(const ConfigReader& reader, ModelConfig* config) {
  ASSIGN_OR_RETURN(const std::string type, reader.StringOrEmpty("rope.scaling.type"));
  if (type.empty() || type == "none") {
    // Files from before rope.scaling.* had the linear factor here.
    ASSIGN_OR_RETURN(const double factor, reader.FloatOr("rope.scale_linear", 1, 1e-6, 1e6));
    config->rope_scale = type.empty() ? 1 / factor : 1;
    return {};
  }
  if (type == "linear") {
    ASSIGN_OR_RETURN(const double factor, reader.Float("rope.scaling.factor", 1e-6, 1e6));
    config->rope_scale = 1 / factor;
    return {};
  }
  if (type == "yarn") return ReadYarn(reader, config);
  if (config->kind.long_rope && type == "longrope") return {};
  return reader.Fail(ErrorCode::kUnavailable, "rope.scaling.type",
                     fmt::format("{} is not supported for {} (none, linear and yarn are)",
                                 Quoted(type), config->architecture));
}

}  // namespace

Status ReadRope(const ConfigReader& reader, ModelConfig* config) {
  const UintRange rot_dims = {1, static_cast<uint64_t>(config->head_dim)};
  if (config->has_latent()) {
    ASSIGN_OR_RETURN(config->n_rot, reader.Uint("rope.dimension_count", rot_dims));
    const int64_t expected = config->head_dim - config->latent.kv_rank;
    if (config->latent.cached && config->n_rot != expected) {
      return reader.Fail(ErrorCode::kBadData, "rope.dimension_count",
                         fmt::format("expected attention.key_length - attention.kv_lora_rank = {}, "
                                     "found {}",
                                     expected, config->n_rot));
    }
  } else {
    ASSIGN_OR_RETURN(config->n_rot,
                     reader.UintOr("rope.dimension_count", config->head_dim, rot_dims));
  }
  if (config->n_rot % 2 != 0) {
    return reader.Fail(ErrorCode::kBadData, "rope.dimension_count",
                       fmt::format("expected an even number, found {}", config->n_rot));
  }
  ASSIGN_OR_RETURN(config->rope_base, reader.FloatOr("rope.freq_base", 10000, 1, 1e30));
  config->local_rope_base = config->rope_base;
  if (config->kind.local_rope_base > 0) {
    ASSIGN_OR_RETURN(config->local_rope_base,
                     reader.FloatOr("rope.freq_base_swa", config->kind.local_rope_base, 1, 1e30));
  }
  // Some write false for a model without RoPE.
  ASSIGN_OR_RETURN(const bool finetuned, reader.BoolOr("rope.scaling.finetuned", true));
  if (config->kind.multipliers && !finetuned) {
    return reader.Fail(ErrorCode::kUnavailable, "rope.scaling.finetuned",
                       fmt::format("false is not supported for {}", config->architecture));
  }
  RETURN_IF_ERROR(ReadLongRope(reader, config));
  return ReadRopeScaling(reader, config);
}

}  // namespace llmrun
