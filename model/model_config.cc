#include "model/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "loader/gguf/printable.h"
#include "model/config_parts.h"
#include "model/config_reader.h"

namespace llmrun {
namespace {

constexpr UintRange kHeads = {1, kMaxHeads};

// Sizes of the layers and of the vectors between them.
Status ReadSizes(const ConfigReader& reader, ModelConfig* config) {
  ASSIGN_OR_RETURN(config->n_layers, reader.Uint("block_count", {1, kMaxLayers}));
  ASSIGN_OR_RETURN(config->d_model, reader.Uint("embedding_length", {1, kMaxEmbedding}));
  ASSIGN_OR_RETURN(config->d_ff, reader.UniformUint("feed_forward_length", {1, kMaxFeedForward}));
  ASSIGN_OR_RETURN(config->n_ctx_train, reader.Uint("context_length", {1, kMaxContext}));
  // Below 1e-30 the float32 sum under the root could vanish for a row of zeros.
  const bool rms = config->kind.norm == NormKind::kRms;
  ASSIGN_OR_RETURN(const double eps, reader.Float(rms ? "attention.layer_norm_rms_epsilon"
                                                      : "attention.layer_norm_epsilon",
                                                  1e-30, 1));
  config->norm_eps = static_cast<float>(eps);
  return {};
}

Status ReadHeads(const ConfigReader& reader, ModelConfig* config) {
  ASSIGN_OR_RETURN(config->n_heads, reader.UniformUint("attention.head_count", kHeads));
  ASSIGN_OR_RETURN(config->n_kv_heads,
                   reader.UniformUintOr("attention.head_count_kv", config->n_heads, kHeads));
  if (config->n_heads % config->n_kv_heads != 0) {
    return reader.Fail(ErrorCode::kBadData, "attention.head_count_kv",
                       fmt::format("expected a divisor of attention.head_count {}, found {}",
                                   config->n_heads, config->n_kv_heads));
  }
  if (config->kind.latent_attention) return ReadLatentHeads(reader, config);
  if (reader.Has("attention.key_length")) {
    ASSIGN_OR_RETURN(config->head_dim, reader.Uint("attention.key_length", kHeadDims));
  } else if (config->d_model % config->n_heads != 0) {
    return reader.Fail(ErrorCode::kBadData, "attention.head_count",
                       fmt::format("expected a divisor of embedding_length {}, found {} (and "
                                   "there is no attention.key_length)",
                                   config->d_model, config->n_heads));
  } else {
    config->head_dim = config->d_model / config->n_heads;
    if (static_cast<uint64_t>(config->head_dim) > kMaxHeadDim) {
      return reader.Fail(ErrorCode::kBadData, "attention.head_count",
                         fmt::format("expected heads of at most {} dimensions, found {}",
                                     kMaxHeadDim, config->head_dim));
    }
  }
  ASSIGN_OR_RETURN(config->value_dim,
                   reader.UintOr("attention.value_length", config->head_dim, kHeadDims));
  if (config->value_dim != config->head_dim) {
    return reader.Fail(ErrorCode::kUnavailable, "attention.value_length",
                       fmt::format("{} beside keys of {}: heads with keys and values of different "
                                   "lengths are not supported for {}",
                                   config->value_dim, config->head_dim, config->architecture));
  }
  return {};
}

// The scales of what a model is made of; where they are not read they must be what they always are.
Status ReadMultipliers(const ConfigReader& reader, ModelConfig* config) {
  const bool wide = config->n_layers == config->kind.layers_scaled_by_model;
  const int64_t query_dim = config->latent.cached ? config->latent.query_dim : config->head_dim;
  const int64_t scaled_by = wide ? config->d_model / config->n_heads : query_dim;
  config->attention_scale = 1 / std::sqrt(static_cast<double>(scaled_by));
  const auto read = [&](const char* key, double* value) -> Status {
    const double usual = *value;
    ASSIGN_OR_RETURN(*value, reader.FloatOr(key, usual, 1e-6, 1e6));
    if (config->kind.multipliers || std::abs(*value - usual) <= 1e-6 * usual) return {};
    return reader.Fail(ErrorCode::kUnavailable, key,
                       fmt::format("{:g} is not supported for {} (only {:g} is)", *value,
                                   config->architecture, usual));
  };
  double divisor = 1;
  RETURN_IF_ERROR(read("logit_scale", &divisor));
  config->logit_scale = 1 / divisor;
  RETURN_IF_ERROR(read("residual_scale", &config->residual_scale));
  RETURN_IF_ERROR(read("attention.scale", &config->attention_scale));
  if (config->kind.scaled_embeddings) {
    config->embedding_scale = std::sqrt(static_cast<double>(config->d_model));
  }
  return read("embedding_scale", &config->embedding_scale);
}

// Which positions a layer sees, and what becomes of scores.
Status ReadAttention(const ConfigReader& reader, ModelConfig* config) {
  constexpr const char* kWindowKey = "attention.sliding_window";
  constexpr UintRange kWindows = {0, UINT32_MAX};
  if (config->kind.may_lack_window) {
    ASSIGN_OR_RETURN(config->window, reader.UintOr(kWindowKey, 0, kWindows));
  } else if (config->kind.full_attention_every != 1) {
    ASSIGN_OR_RETURN(config->window, reader.Uint(kWindowKey, kWindows));
  } else {
    ASSIGN_OR_RETURN(const int64_t window, reader.UintOr(kWindowKey, 0, kWindows));
    if (window > 0 && window < config->n_ctx_train) {
      return reader.Fail(ErrorCode::kUnavailable, kWindowKey,
                         fmt::format("{} of {} positions: a sliding window is not supported for {}",
                                     window, config->n_ctx_train, config->architecture));
    }
  }

  const auto read_cap = [&](const char* key) -> Result<double> {
    if (config->kind.soft_caps) return reader.Float(key, 1e-3, 1e6);
    ASSIGN_OR_RETURN(const double cap, reader.FloatOr(key, 0, 0, 1e9));
    if (cap == 0) return cap;
    return reader.Fail(ErrorCode::kUnavailable, key,
                       fmt::format("soft caps are not supported for {}", config->architecture));
  };
  ASSIGN_OR_RETURN(config->attention_cap, read_cap("attn_logit_softcapping"));
  ASSIGN_OR_RETURN(config->logit_cap, read_cap("final_logit_softcapping"));
  return {};
}

Status ReadVocab(const TensorIndex& index, ModelConfig* config) {
  constexpr const char* kTokensKey = "tokenizer.ggml.tokens";
  const Metadata& metadata = index.metadata();
  const std::optional<TensorId> id = index.Find("token_embd.weight");
  if (!id) {
    return MakeError(ErrorCode::kBadData, "{}: tensor 'token_embd.weight' is missing",
                     metadata.label());
  }
  const uint64_t rows = index.at(*id).dims[1];
  if (rows > kMaxVocab) {
    return MakeError(ErrorCode::kBadData,
                     "{}: tensor 'token_embd.weight': expected 1..{} rows, found {}",
                     metadata.label(), kMaxVocab, rows);
  }
  config->n_vocab = static_cast<int64_t>(rows);
  if (metadata.Find(kTokensKey) == nullptr) return {};  // weights alone run on token ids
  ASSIGN_OR_RETURN(const MetaArray* tokens, metadata.GetArray(kTokensKey));
  if (tokens->size() != rows) {
    return MakeError(ErrorCode::kBadData,
                     "{}: tensor 'token_embd.weight': expected {} rows as {} has, found {}",
                     metadata.label(), tokens->size(), kTokensKey, rows);
  }
  return {};
}

// A block_count far beyond the file is found here, in constant time.
Status CheckLastLayer(const TensorIndex& index, const ConfigReader& reader,
                      const ModelConfig& config) {
  const std::string name = fmt::format("blk.{}.{}.weight", config.n_layers - 1,
                                       config.kind.pre_norms ? "attn_norm" : "attn_q");
  if (index.Find(name)) return {};
  return reader.Fail(ErrorCode::kBadData, "block_count",
                     fmt::format("{} layers, but tensor '{}' is missing", config.n_layers, name));
}

}  // namespace

std::vector<std::string> SupportedArchitectures() {
  std::vector<std::string> names;
  for (const Architecture& architecture : Architectures()) names.emplace_back(architecture.name);
  return names;
}

Result<ModelConfig> ReadModelConfig(const TensorIndex& index) {
  const Metadata& metadata = index.metadata();
  ModelConfig config;
  ASSIGN_OR_RETURN(const std::string_view name, metadata.GetString("general.architecture"));
  const auto architecture = std::ranges::find(Architectures(), name, &Architecture::name);
  if (architecture == Architectures().end()) {
    return MakeError(ErrorCode::kUnavailable,
                     "{}: architecture {} is not supported; those that run: {}", metadata.label(),
                     Quoted(name), fmt::join(SupportedArchitectures(), ", "));
  }
  config.architecture = name;
  config.kind = *architecture;
  if (metadata.Find("general.name") != nullptr) {
    ASSIGN_OR_RETURN(config.name, metadata.GetString("general.name"));
  }
  const ConfigReader reader(metadata, config.architecture);
  RETURN_IF_ERROR(ReadSizes(reader, &config));
  RETURN_IF_ERROR(ReadExperts(reader, &config));
  RETURN_IF_ERROR(ReadHeads(reader, &config));
  RETURN_IF_ERROR(ReadMultipliers(reader, &config));
  RETURN_IF_ERROR(ReadAttention(reader, &config));
  RETURN_IF_ERROR(ReadRope(reader, &config));
  RETURN_IF_ERROR(ReadVocab(index, &config));
  RETURN_IF_ERROR(CheckLastLayer(index, reader, config));
  return config;
}

}  // namespace llmrun
