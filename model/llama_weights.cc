#include "model/llama_weights.h"

#include <algorithm>
#include <initializer_list>

#include "compute/packing.h"
#include "model/tensor_binder.h"

namespace llmrun {
namespace {

// Binds the tensors of one layer, each under the name that a part has there.
class LayerBinder {
 public:
  LayerBinder(const ModelConfig& config, int64_t number, TensorBinder& binder)
      : config_(config), number_(number), binder_(binder) {}

  Result<LlamaLayer> Bind() {
    LlamaLayer layer;
    RETURN_IF_ERROR(BindAttention(&layer));
    RETURN_IF_ERROR(config_.HasExperts(number_) ? BindExperts(&layer) : BindFeedForward(&layer));
    RETURN_IF_ERROR(BindNorms(&layer));
    // Inverse frequencies that early converters exported; rope.freq_base says the same.
    binder_.Ignore(Name("attn_rot_embd"));
    return layer;
  }

 private:
  std::string Name(std::string_view part, const char* what = "weight") const {
    return fmt::format("blk.{}.{}.{}", number_, part, what);
  }

  Result<WeightMatrix> Matrix(const char* part, int64_t rows, int64_t cols) {
    ASSIGN_OR_RETURN(WeightMatrix bound, binder_.Matrix(Name(part), rows, cols));
    const std::string scale = Name(part, "scale");
    if (config_.kind.may_have_scales && binder_.Has(scale)) {
      ASSIGN_OR_RETURN(bound.scale, binder_.Vector(scale, 1));
    }
    return bound;
  }

  Result<WeightMatrix> Projection(const char* part, int64_t rows) {
    ASSIGN_OR_RETURN(WeightMatrix bound, Matrix(part, rows, config_.d_model));
    RETURN_IF_ERROR(BindBias(part, config_.kind.qkv_bias, &bound));
    return bound;
  }

  Status BindBias(const char* part, Presence presence, WeightMatrix* matrix) {
    const std::string name = Name(part, "bias");
    if (presence == Presence::kNever) return {};
    if (presence == Presence::kMaybe && !binder_.Has(name)) return {};
    ASSIGN_OR_RETURN(matrix->bias,
                     binder_.Vector(name, matrix->rows_of_expert(), matrix->n_experts));
    return {};
  }
  Status BindOtherBias(const char* part, WeightMatrix* matrix) {
    return BindBias(part, config_.kind.other_biases ? Presence::kAlways : Presence::kNever, matrix);
  }

  // One tensor for several matrices of d_model columns, one after the other.
  struct Part {
    WeightMatrix* matrix;
    int64_t rows;
  };
  Status BindFused(const char* part, std::initializer_list<Part> parts) {
    int64_t rows = 0;
    for (const Part& each : parts) rows += each.rows;
    ASSIGN_OR_RETURN(const WeightMatrix whole, Matrix(part, rows, config_.d_model));
    int64_t first = 0;
    for (const Part& each : parts) {
      if (first % kPackedPanelRows != 0) {
        return binder_.Refuse(Name(part),
                              fmt::format("several matrices in one, of which one begins "
                                          "at row {}: only multiples of {} are supported",
                                          first, kPackedPanelRows));
      }
      *each.matrix = whole;
      each.matrix->first_row = first;
      each.matrix->rows = each.rows;
      first += each.rows;
    }
    return {};
  }

  Status BindLatent(LlamaLayer* layer) {
    const int64_t kv_rank = config_.latent.kv_rank;
    const int64_t q_rank = config_.latent.q_rank;
    LatentMatrices& latent = layer->latent;
    if (q_rank > 0) {
      ASSIGN_OR_RETURN(latent.q_a, Matrix("attn_q_a", q_rank, config_.d_model));
      RETURN_IF_ERROR(BindNorm("attn_q_a_norm", q_rank, &latent.q_a_norm));
      ASSIGN_OR_RETURN(layer->q, Matrix("attn_q_b", config_.made_q_dim(), q_rank));
    } else {
      ASSIGN_OR_RETURN(layer->q, Matrix("attn_q", config_.made_q_dim(), config_.d_model));
    }
    ASSIGN_OR_RETURN(latent.kv_a,
                     Matrix("attn_kv_a_mqa", kv_rank + config_.n_rot, config_.d_model));
    RETURN_IF_ERROR(BindNorm("attn_kv_a_norm", kv_rank, &latent.kv_a_norm));
    if (config_.latent.cached) {
      ASSIGN_OR_RETURN(latent.k_b,
                       OfHeads("attn_k_b", kv_rank, config_.latent.query_dim - config_.n_rot));
      ASSIGN_OR_RETURN(latent.v_b, OfHeads("attn_v_b", config_.latent.output_dim, kv_rank));
      return {};
    }
    ASSIGN_OR_RETURN(latent.kv_b,
                     Matrix("attn_kv_b", config_.n_heads * config_.latent_rows(), kv_rank));
    return {};
  }

  // Rows of one head after those of another: three dimensions.
  Result<WeightMatrix> OfHeads(const char* part, int64_t rows, int64_t cols) {
    ASSIGN_OR_RETURN(WeightMatrix bound, binder_.Experts(Name(part), config_.n_heads, rows, cols));
    bound.n_experts = 1;
    return bound;
  }

  Status BindQkv(LlamaLayer* layer) {
    if (config_.has_latent()) return BindLatent(layer);
    if (config_.kind.fused) {
      return BindFused("attn_qkv", {{&layer->q, config_.q_dim()},
                                    {&layer->k, config_.k_dim()},
                                    {&layer->v, config_.v_dim()}});
    }
    ASSIGN_OR_RETURN(layer->q, Projection("attn_q", config_.q_dim()));
    ASSIGN_OR_RETURN(layer->k, Projection("attn_k", config_.k_dim()));
    ASSIGN_OR_RETURN(layer->v, Projection("attn_v", config_.v_dim()));
    return {};
  }

  Status BindAttention(LlamaLayer* layer) {
    const QkNorm norm = config_.kind.qk_norm;
    RETURN_IF_ERROR(BindQkv(layer));
    if (norm != QkNorm::kNone) {
      const bool by_head = norm == QkNorm::kHead;
      RETURN_IF_ERROR(
          BindNorm("attn_q_norm", by_head ? config_.head_dim : config_.q_dim(), &layer->q_norm));
      RETURN_IF_ERROR(
          BindNorm("attn_k_norm", by_head ? config_.head_dim : config_.k_dim(), &layer->k_norm));
    }
    if (config_.kind.sinks) {
      ASSIGN_OR_RETURN(layer->sinks, binder_.Vector(Name("attn_sinks"), config_.n_heads));
    }
    ASSIGN_OR_RETURN(layer->attn_output,
                     Matrix("attn_output", config_.d_model, config_.output_dim()));
    return BindOtherBias("attn_output", &layer->attn_output);
  }

  Status BindExperts(LlamaLayer* layer) {
    const int64_t d = config_.d_model;
    ASSIGN_OR_RETURN(layer->router, binder_.Matrix(Name("ffn_gate_inp"), config_.n_experts, d));
    RETURN_IF_ERROR(BindOtherBias("ffn_gate_inp", &layer->router));
    const std::string bias = Name("exp_probs_b", "bias");
    if (config_.kind.deepseek_experts && binder_.Has(bias)) {
      ASSIGN_OR_RETURN(layer->router_bias, binder_.Vector(bias, config_.n_experts));
    }
    ASSIGN_OR_RETURN(layer->ffn.gate, Experts("ffn_gate_exps", config_.d_ff_expert, d));
    ASSIGN_OR_RETURN(layer->ffn.up, Experts("ffn_up_exps", config_.d_ff_expert, d));
    ASSIGN_OR_RETURN(layer->ffn.down, Experts("ffn_down_exps", d, config_.d_ff_expert));
    const int64_t d_ff = config_.d_ff_shared;
    if (d_ff == 0) return {};
    ASSIGN_OR_RETURN(layer->shared.gate, Matrix("ffn_gate_shexp", d_ff, d));
    ASSIGN_OR_RETURN(layer->shared.up, Matrix("ffn_up_shexp", d_ff, d));
    ASSIGN_OR_RETURN(layer->shared.down, Matrix("ffn_down_shexp", d, d_ff));
    return {};
  }

  Result<WeightMatrix> Experts(const char* part, int64_t rows, int64_t cols) {
    ASSIGN_OR_RETURN(WeightMatrix bound,
                     binder_.Experts(Name(part), config_.n_experts, rows, cols));
    RETURN_IF_ERROR(BindOtherBias(part, &bound));
    return bound;
  }

  Status BindFeedForward(LlamaLayer* layer) {
    if (config_.kind.fused) {
      RETURN_IF_ERROR(
          BindFused("ffn_up", {{&layer->ffn.gate, config_.d_ff}, {&layer->ffn.up, config_.d_ff}}));
    } else {
      ASSIGN_OR_RETURN(layer->ffn.gate, Matrix("ffn_gate", config_.d_ff, config_.d_model));
      ASSIGN_OR_RETURN(layer->ffn.up, Matrix("ffn_up", config_.d_ff, config_.d_model));
    }
    ASSIGN_OR_RETURN(layer->ffn.down, Matrix("ffn_down", config_.d_model, config_.d_ff));
    return {};
  }

  Status BindNorm(std::string_view part, int64_t n, NormWeights* norm) {
    ASSIGN_OR_RETURN(norm->weight, binder_.Vector(Name(part), n));
    return {};
  }
  // One that is a LayerNorm where the architecture has these.
  Status BindPreNorm(std::string_view part, NormWeights* norm) {
    RETURN_IF_ERROR(BindNorm(part, config_.d_model, norm));
    if (config_.kind.norm != NormKind::kLayer) return {};
    ASSIGN_OR_RETURN(norm->bias, binder_.Vector(Name(part, "bias"), config_.d_model));
    return {};
  }

  Status BindNorms(LlamaLayer* layer) {
    const int64_t d = config_.d_model;
    if (config_.kind.pre_norms) {
      RETURN_IF_ERROR(BindPreNorm("attn_norm", &layer->attn_norm));
      RETURN_IF_ERROR(BindPreNorm(config_.kind.ffn_norm, &layer->ffn_norm));
    }
    if (config_.kind.post_norms) {
      RETURN_IF_ERROR(BindNorm("post_attention_norm", d, &layer->attn_post_norm));
      RETURN_IF_ERROR(BindNorm("post_ffw_norm", d, &layer->ffn_post_norm));
    }
    if (config_.kind.sub_norms) {
      RETURN_IF_ERROR(BindNorm("attn_sub_norm", config_.attention_dim(), &layer->attn_sub_norm));
      RETURN_IF_ERROR(BindNorm("ffn_sub_norm", config_.d_ff, &layer->ffn_sub_norm));
    }
    return {};
  }

  const ModelConfig& config_;
  const int64_t number_;
  TensorBinder& binder_;
};

Status BindRopeFactors(const ModelConfig& config, TensorBinder& binder, LlamaWeights* llama) {
  const auto bind = [&](const char* name, const float** factors) -> Status {
    ASSIGN_OR_RETURN(*factors, binder.Vector(name, config.n_rot / 2));
    return {};
  };
  // A context beyond the original one is not to be had without them.
  if (config.kind.long_rope &&
      (binder.Has("rope_factors_long.weight") || config.rope_short_context < config.n_ctx_train)) {
    RETURN_IF_ERROR(bind("rope_factors_long.weight", &llama->long_rope_factors));
    return bind("rope_factors_short.weight", &llama->rope_factors);
  }
  if (!binder.Has("rope_freqs.weight")) return {};
  return bind("rope_freqs.weight", &llama->rope_factors);
}

}  // namespace

Result<LlamaWeights> BindLlama(const ModelConfig& config, const Weights& weights) {
  TensorBinder binder(weights);
  LlamaWeights llama;
  llama.n_experts_used = std::max<int64_t>(config.n_experts_used, 1);
  ASSIGN_OR_RETURN(llama.output,
                   binder.Matrix("token_embd.weight", config.n_vocab, config.d_model));
  llama.token_embd = *weights.index().Find("token_embd.weight");
  RETURN_IF_ERROR(BindRopeFactors(config, binder, &llama));
  for (int64_t i = 0; i < config.n_layers; ++i) {
    ASSIGN_OR_RETURN(LlamaLayer layer, LayerBinder(config, i, binder).Bind());
    llama.layers.push_back(layer);
  }
  ASSIGN_OR_RETURN(llama.output_norm.weight, binder.Vector("output_norm.weight", config.d_model));
  if (config.kind.norm == NormKind::kLayer) {
    ASSIGN_OR_RETURN(llama.output_norm.bias, binder.Vector("output_norm.bias", config.d_model));
  }
  if (binder.Has("output.weight")) {
    ASSIGN_OR_RETURN(llama.output, binder.Matrix("output.weight", config.n_vocab, config.d_model));
  }
  RETURN_IF_ERROR(binder.ExpectAllUsed(config.architecture));
  return llama;
}

}  // namespace llmrun
