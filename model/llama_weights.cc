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
    RETURN_IF_ERROR(config_.has_experts() ? BindExperts(&layer) : BindFeedForward(&layer));
    RETURN_IF_ERROR(BindNorms(&layer));
    // Inverse frequencies that early converters exported; rope.freq_base says the same.
    binder_.Ignore(Name("attn_rot_embd"));
    return layer;
  }

 private:
  std::string Name(const char* part, const char* what = "weight") const {
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
    const std::string bias = Name(part, "bias");
    const Presence presence = config_.kind.qkv_bias;
    if (presence == Presence::kAlways || (presence == Presence::kMaybe && binder_.Has(bias))) {
      ASSIGN_OR_RETURN(bound.bias, binder_.Vector(bias, rows));
    }
    return bound;
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

  Status BindQkv(LlamaLayer* layer) {
    if (config_.kind.fused) {
      return BindFused("attn_qkv", {{&layer->q, config_.q_dim()},
                                    {&layer->k, config_.kv_dim()},
                                    {&layer->v, config_.kv_dim()}});
    }
    ASSIGN_OR_RETURN(layer->q, Projection("attn_q", config_.q_dim()));
    ASSIGN_OR_RETURN(layer->k, Projection("attn_k", config_.kv_dim()));
    ASSIGN_OR_RETURN(layer->v, Projection("attn_v", config_.kv_dim()));
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
          BindNorm("attn_k_norm", by_head ? config_.head_dim : config_.kv_dim(), &layer->k_norm));
    }
    ASSIGN_OR_RETURN(layer->attn_output, Matrix("attn_output", config_.d_model, config_.q_dim()));
    return {};
  }

  Status BindExperts(LlamaLayer* layer) {
    const int64_t n = config_.n_experts;
    const int64_t d = config_.d_model;
    ASSIGN_OR_RETURN(layer->router, binder_.Matrix(Name("ffn_gate_inp"), n, d));
    ASSIGN_OR_RETURN(layer->gate, binder_.Experts(Name("ffn_gate_exps"), n, config_.d_ff, d));
    ASSIGN_OR_RETURN(layer->up, binder_.Experts(Name("ffn_up_exps"), n, config_.d_ff, d));
    ASSIGN_OR_RETURN(layer->down, binder_.Experts(Name("ffn_down_exps"), n, d, config_.d_ff));
    return {};
  }

  Status BindFeedForward(LlamaLayer* layer) {
    if (config_.kind.fused) {
      RETURN_IF_ERROR(
          BindFused("ffn_up", {{&layer->gate, config_.d_ff}, {&layer->up, config_.d_ff}}));
    } else {
      ASSIGN_OR_RETURN(layer->gate, Matrix("ffn_gate", config_.d_ff, config_.d_model));
      ASSIGN_OR_RETURN(layer->up, Matrix("ffn_up", config_.d_ff, config_.d_model));
    }
    ASSIGN_OR_RETURN(layer->down, Matrix("ffn_down", config_.d_model, config_.d_ff));
    return {};
  }

  Status BindNorm(const char* part, int64_t n, NormWeights* norm) {
    ASSIGN_OR_RETURN(norm->weight, binder_.Vector(Name(part), n));
    return {};
  }
  // One that is a LayerNorm where the architecture has these.
  Status BindPreNorm(const char* part, NormWeights* norm) {
    RETURN_IF_ERROR(BindNorm(part, config_.d_model, norm));
    if (config_.kind.norm != NormKind::kLayer) return {};
    ASSIGN_OR_RETURN(norm->bias, binder_.Vector(Name(part, "bias"), config_.d_model));
    return {};
  }

  Status BindNorms(LlamaLayer* layer) {
    const int64_t d = config_.d_model;
    if (config_.kind.pre_norms) {
      RETURN_IF_ERROR(BindPreNorm("attn_norm", &layer->attn_norm));
      RETURN_IF_ERROR(BindPreNorm("ffn_norm", &layer->ffn_norm));
    }
    if (config_.kind.post_norms) {
      RETURN_IF_ERROR(BindNorm("post_attention_norm", d, &layer->attn_post_norm));
      RETURN_IF_ERROR(BindNorm("post_ffw_norm", d, &layer->ffn_post_norm));
    }
    if (config_.kind.sub_norms) {
      RETURN_IF_ERROR(BindNorm("attn_sub_norm", config_.q_dim(), &layer->attn_sub_norm));
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
