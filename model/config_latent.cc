#include <fmt/format.h>

#include "model/config_parts.h"

namespace llmrun {
namespace {

// One head of keys and values for all, which are latents.
Status ReadCachedLatents(const ConfigReader& reader, ModelConfig* config) {
  LatentSizes& latent = config->latent;
  latent.cached = true;
  ASSIGN_OR_RETURN(latent.query_dim, reader.Uint("attention.key_length_mla", kHeadDims));
  ASSIGN_OR_RETURN(latent.output_dim, reader.Uint("attention.value_length_mla", kHeadDims));
  const int64_t rotated = config->head_dim - latent.kv_rank;
  if (config->n_kv_heads == 1 && config->value_dim == latent.kv_rank && rotated > 0 &&
      rotated < latent.query_dim) {
    return {};
  }
  return reader.Fail(
      ErrorCode::kBadData, "attention.key_length_mla",
      fmt::format("{}, but with {} heads of keys of {} and values of {} in the cache: expected one "
                  "head, keys of kv_lora_rank {} and less than {} more, values of {}",
                  latent.query_dim, config->n_kv_heads, config->head_dim, config->value_dim,
                  latent.kv_rank, latent.query_dim, latent.kv_rank));
}

}  // namespace

Status ReadLatentHeads(const ConfigReader& reader, ModelConfig* config) {
  ASSIGN_OR_RETURN(config->head_dim, reader.Uint("attention.key_length", kHeadDims));
  ASSIGN_OR_RETURN(config->value_dim, reader.Uint("attention.value_length", kHeadDims));
  ASSIGN_OR_RETURN(config->latent.kv_rank,
                   reader.Uint("attention.kv_lora_rank", {1, kMaxEmbedding}));
  ASSIGN_OR_RETURN(config->latent.q_rank,
                   reader.UintOr("attention.q_lora_rank", 0, {0, kMaxEmbedding}));
  if (reader.Has("attention.key_length_mla")) return ReadCachedLatents(reader, config);
  if (config->n_kv_heads != config->n_heads) {
    return reader.Fail(ErrorCode::kBadData, "attention.head_count_kv",
                       fmt::format("expected attention.head_count {}, found {}", config->n_heads,
                                   config->n_kv_heads));
  }
  return {};
}

}  // namespace llmrun
