// The tensors of a model of the llama architecture or one near it, found by name and checked
// against its config.
//
// Binding takes addresses only: no weight is read, so it may happen while they are still arriving.
// A tensor of the file that the architecture does not know (a bias, say) is refused: the logits
// would be silently wrong without it.
//
// Threads: values. Must outlive them: the Weights.
// Failure: kBadData for a tensor that is missing or of another shape, kUnavailable for an element
// type without kernel and for unknown tensors; all name file, tensor, expected and found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "loader/weights.h"
#include "memory/dtype.h"
#include "model/model_config.h"

namespace llmrun {

// Weights of an RMSNorm, or with a bias those of a LayerNorm.
struct NormWeights {
  const float* weight = nullptr;  // null: there is no norm
  const float* bias = nullptr;

  explicit operator bool() const { return weight != nullptr; }
};

// y = W x: one row of weights for each element of y.
struct WeightMatrix {
  TensorId tensor{};  // whose rows these are
  DType dtype = DType::kF32;
  std::span<const TensorPiece> pieces;  // as Weights::Pieces() gives them
  uint64_t row_bytes = 0;
  int64_t first_row = 0;  // in the tensor, which may hold other matrices too
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t n_experts = 1;         // whose rows stand one after the other, as many of each
  const float* scale = nullptr;  // factor of all of y; null: none
  const float* bias = nullptr;   // [rows of the tensor], is added to y; null: none
  bool packed = false;           // each piece for itself (compute/packing.h)
  bool quantized_input = false;  // takes its x as int8 (compute/kernels.h)
  bool looked_up = false;        // of one token: in tables (model/kernel_tuner.h)

  // Each piece is a copy of the whole on a node of its own.
  bool mirrored() const { return AreCopies(pieces); }
  int64_t rows_of_expert() const { return rows / n_experts; }
  // The rows are dealt out to the nodes, experts as a whole.
  bool sharded() const { return pieces.size() > 1 && !mirrored(); }
};

// down * (activation(gate * x) * (up * x)).
struct GatedMatrices {
  WeightMatrix gate;  // [d_ff][d_model]
  WeightMatrix up;    // [d_ff][d_model]
  WeightMatrix down;  // [d_model][d_ff]
};

// What keys, values, and queries may be made from (LatentSizes).
struct LatentMatrices {
  WeightMatrix q_a;       // [q_rank][d_model]; no rows: there is none
  NormWeights q_a_norm;   // [q_rank]
  WeightMatrix kv_a;      // [kv_rank + n_rot][d_model] the latent, then what RoPE turns of keys
  NormWeights kv_a_norm;  // [kv_rank]
  WeightMatrix kv_b;      // [n_heads][latent_rows][kv_rank] of each head first the keys' rows
  // Instead, where latents are cached: of keys, to be multiplied with queries, and of values.
  WeightMatrix k_b;  // [n_heads][kv_rank][query_dim - n_rot]
  WeightMatrix v_b;  // [n_heads][output_dim][kv_rank]
};

struct LlamaLayer {
  NormWeights attn_norm;               // [d_model]; null: none
  WeightMatrix q;                      // [q_dim][d_model], or [q_dim][q_rank]
  WeightMatrix k;                      // [k_dim][d_model]; no rows where there are latents
  WeightMatrix v;                      // [v_dim][d_model]; the same
  LatentMatrices latent;               // empty where there are none
  NormWeights attn_sub_norm;           // [attention_dim]; null: none
  NormWeights q_norm;                  // [head_dim] or [q_dim], as QkNorm says; null: none
  NormWeights k_norm;                  // [head_dim] or [k_dim]
  const float* sinks = nullptr;        // [n_heads] scores beside those of positions; null: none
  WeightMatrix attn_output;            // [d_model][attention_dim]
  NormWeights attn_post_norm;          // [d_model]; null: none
  NormWeights ffn_norm;                // [d_model]; null: none
  WeightMatrix router;                 // [n_experts][d_model]; no rows: there are no experts
  const float* router_bias = nullptr;  // [n_experts] only chooses; null: none
  GatedMatrices ffn;                   // of all experts, one after the other, where there are any
  GatedMatrices shared;       // of the expert that all tokens go to; no rows: there is none
  NormWeights ffn_sub_norm;   // [d_ff]; null: none
  NormWeights ffn_post_norm;  // [d_model]; null: none
};

struct LlamaWeights {
  TensorId token_embd{};  // [n_vocab][d_model], of an element type that can be decoded
  std::vector<LlamaLayer> layers;
  NormWeights output_norm;  // [d_model]
  WeightMatrix output;      // [n_vocab][d_model]; token_embd when the model ties them
  // [n_rot / 2], divide the angles; null: none. Longer contexts than config.rope_short_context have
  // others, if there are any.
  const float* rope_factors = nullptr;
  const float* long_rope_factors = nullptr;
  int64_t n_experts_used = 1;  // of those of a matrix, by each token
};

Result<LlamaWeights> BindLlama(const ModelConfig& config, const Weights& weights);

}  // namespace llmrun
