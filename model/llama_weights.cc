#include "model/llama_weights.h"

#include <algorithm>

#include "model/tensor_binder.h"

namespace llmrun {
namespace {

Result<LlamaLayer> BindLayer(const ModelConfig& config, int64_t number, TensorBinder& binder) {
  const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", number, part); };
  const auto matrix = [&](const char* part, int64_t rows, int64_t cols) -> Result<WeightMatrix> {
    ASSIGN_OR_RETURN(WeightMatrix bound, binder.Matrix(name(part), rows, cols));
    const std::string scale = fmt::format("blk.{}.{}.scale", number, part);
    if (config.may_have_scales && binder.Has(scale)) {
      ASSIGN_OR_RETURN(bound.scale, binder.Vector(scale, 1));
    }
    return bound;
  };
  const int64_t d = config.d_model;
  LlamaLayer layer;
  ASSIGN_OR_RETURN(layer.attn_norm, binder.Vector(name("attn_norm"), d));
  ASSIGN_OR_RETURN(layer.q, matrix("attn_q", config.q_dim(), d));
  ASSIGN_OR_RETURN(layer.k, matrix("attn_k", config.kv_dim(), d));
  ASSIGN_OR_RETURN(layer.v, matrix("attn_v", config.kv_dim(), d));
  ASSIGN_OR_RETURN(layer.attn_output, matrix("attn_output", d, config.q_dim()));
  ASSIGN_OR_RETURN(layer.ffn_norm, binder.Vector(name("ffn_norm"), d));
  if (const int64_t n = config.n_experts; n > 0) {
    ASSIGN_OR_RETURN(layer.router, binder.Matrix(name("ffn_gate_inp"), n, d));
    ASSIGN_OR_RETURN(layer.gate, binder.Experts(name("ffn_gate_exps"), n, config.d_ff, d));
    ASSIGN_OR_RETURN(layer.up, binder.Experts(name("ffn_up_exps"), n, config.d_ff, d));
    ASSIGN_OR_RETURN(layer.down, binder.Experts(name("ffn_down_exps"), n, d, config.d_ff));
  } else {
    ASSIGN_OR_RETURN(layer.gate, matrix("ffn_gate", config.d_ff, d));
    ASSIGN_OR_RETURN(layer.up, matrix("ffn_up", config.d_ff, d));
    ASSIGN_OR_RETURN(layer.down, matrix("ffn_down", d, config.d_ff));
  }
  if (config.sub_norms) {
    ASSIGN_OR_RETURN(layer.attn_sub_norm, binder.Vector(name("attn_sub_norm"), config.q_dim()));
    ASSIGN_OR_RETURN(layer.ffn_sub_norm, binder.Vector(name("ffn_sub_norm"), config.d_ff));
  }
  // Inverse frequencies that early converters exported; rope.freq_base says the same.
  binder.Ignore(name("attn_rot_embd"));
  return layer;
}

}  // namespace

Result<LlamaWeights> BindLlama(const ModelConfig& config, const Weights& weights) {
  TensorBinder binder(weights);
  LlamaWeights llama;
  llama.n_experts_used = std::max<int64_t>(config.n_experts_used, 1);
  ASSIGN_OR_RETURN(llama.output,
                   binder.Matrix("token_embd.weight", config.n_vocab, config.d_model));
  llama.token_embd = *weights.index().Find("token_embd.weight");
  if (binder.Has("rope_freqs.weight")) {
    ASSIGN_OR_RETURN(llama.rope_factors, binder.Vector("rope_freqs.weight", config.n_rot / 2));
  }
  for (int64_t i = 0; i < config.n_layers; ++i) {
    ASSIGN_OR_RETURN(LlamaLayer layer, BindLayer(config, i, binder));
    llama.layers.push_back(layer);
  }
  ASSIGN_OR_RETURN(llama.output_norm, binder.Vector("output_norm.weight", config.d_model));
  if (binder.Has("output.weight")) {
    ASSIGN_OR_RETURN(llama.output, binder.Matrix("output.weight", config.n_vocab, config.d_model));
  }
  RETURN_IF_ERROR(binder.ExpectAllUsed(config.architecture));
  return llama;
}

}  // namespace llmrun
