// Groups of a model's numbers, each read from metadata into the config: internal to
// model/model_config.cc, which calls them in this order.
// Threads: pure functions. Failure: as ReadModelConfig().
#pragma once

#include "base/error.h"
#include "model/config_reader.h"
#include "model/model_config.h"

namespace llmrun {

inline constexpr UintRange kHeadDims = {1, kMaxHeadDim};

// Requires: config->n_layers, d_ff.
Status ReadExperts(const ConfigReader& reader, ModelConfig* config);
// The lengths of heads whose keys and values are made from latents, and of these. Requires:
// config->n_heads, n_kv_heads.
Status ReadLatentHeads(const ConfigReader& reader, ModelConfig* config);
// Requires: config->head_dim, attention_scale, n_ctx_train.
Status ReadRope(const ConfigReader& reader, ModelConfig* config);

}  // namespace llmrun
