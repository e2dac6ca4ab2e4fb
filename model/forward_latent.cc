// Attention where keys and values are made from latents (LatentSizes in model/model_config.h): to
// those of all heads, or to the latents themselves.
#include <algorithm>
#include <cstdint>

#include "model/forward_attention.h"
#include "model/forward_member.h"

namespace llmrun {

// The latents of all tokens, and their queries; then, head by head, keys and values from them.
void ForwardMember::AttendToLatents(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const LayerStrips& strips = parts_.strips.layers[static_cast<size_t>(layer_index)];
  const int64_t kv_rank = config_.latent.kv_rank;
  ProjectLatents(layer_index);
  Prepared input = Prepare(batch_plans_.prepare, {.x = scratch_.latent.kv_a,
                                                  .n_tokens = n_,
                                                  .n_cols = kv_rank,
                                                  .norm = layer.latent.kv_a_norm,
                                                  .stride = kv_rank + config_.n_rot,
                                                  .quantize = layer.latent.kv_b.quantized_input});
  const auto project = [&](Range piece) {
    strips.qkv.ForEach(piece, [&](size_t, Range rows) {
      Multiply(layer.latent.kv_b, input.Get(), rows, scratch_.latent.kv_b);
      Head(rows.begin / config_.latent_rows())
          .projected.Add(static_cast<uint64_t>(rows.size()), ProjectedTarget(layer_index));
    });
  };
  AttendInStages(layer_index, Stage{plans_.layers[static_cast<size_t>(layer_index)].qkv, project});
}

void ForwardMember::ProjectLatents(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const LayerStrips& strips = parts_.strips.layers[static_cast<size_t>(layer_index)];
  const LayerPlans& plans = plans_.layers[static_cast<size_t>(layer_index)];
  const LatentMatrices& latent = layer.latent;
  float* queries = config_.latent.cached ? scratch_.latent.q : scratch_.q;
  const bool from_x = latent.q_a.rows == 0;
  const WeightMatrix& first = from_x ? layer.q : latent.q_a;
  Prepared input = Prepare(batch_plans_.prepare,
                           {.x = scratch_.x,
                            .n_tokens = n_,
                            .n_cols = config_.d_model,
                            .norm = layer.attn_norm,
                            .quantize = first.quantized_input || latent.kv_a.quantized_input});
  Step(plans.latent, [&](Range piece) {
    strips.latent.ForEach(piece, [&](size_t matrix, Range rows) {
      if (matrix == 0) {
        Multiply(first, input.Get(), rows, from_x ? queries : scratch_.latent.q_a);
      } else {
        Multiply(latent.kv_a, input.Get(), rows, scratch_.latent.kv_a);
      }
    });
  });
  if (from_x) return;
  Prepared made = Prepare(batch_plans_.prepare, {.x = scratch_.latent.q_a,
                                                 .n_tokens = n_,
                                                 .n_cols = config_.latent.q_rank,
                                                 .norm = latent.q_a_norm,
                                                 .quantize = layer.q.quantized_input});
  Step(plans.q, [&](Range piece) {
    strips.q.ForEach(piece,
                     [&](size_t, Range rows) { Multiply(layer.q, made.Get(), rows, queries); });
  });
}

// Queries are multiplied with the keys' matrices, head by head, so that latents are their keys;
// what attention gives, sums of latents, with the values' matrices.
void ForwardMember::AttendByLatents(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const LayerStrips& strips = parts_.strips.layers[static_cast<size_t>(layer_index)];
  const LayerPlans& plans = plans_.layers[static_cast<size_t>(layer_index)];
  const LatentSizes& sizes = config_.latent;
  const WeightMatrix& k_b = layer.latent.k_b;
  const WeightMatrix& v_b = layer.latent.v_b;
  ProjectLatents(layer_index);
  Step(batch_plans_.by_head, [&](Range pairs) {
    ForEachPart(pairs, n_, [&](int64_t head, Range tokens) {
      GatherHead(head, tokens, scratch_.latent.q + head * sizes.query_dim, config_.made_q_dim(),
                 k_b);
      for (int64_t t = tokens.begin; t < tokens.end; ++t) {
        const float* query = scratch_.latent.q + (t * config_.n_heads + head) * sizes.query_dim;
        std::copy_n(query + k_b.cols, config_.n_rot,
                    scratch_.q + t * config_.q_dim() + head * config_.head_dim + sizes.kv_rank);
      }
    });
  });
  const auto absorb = [&](Range piece) {
    strips.qkv.ForEach(piece, [&](size_t, Range rows) {
      MultiplyHeads(k_b, rows, {scratch_.q, config_.q_dim()}, config_.head_dim);
      Head(0).projected.Add(static_cast<uint64_t>(rows.size()), ProjectedTarget(layer_index));
    });
  };
  AttendInStages(layer_index, Stage{plans.qkv, absorb});
  Step(batch_plans_.by_head, [&](Range pairs) {
    ForEachPart(pairs, n_, [&](int64_t head, Range tokens) {
      GatherHead(head, tokens, scratch_.attention + head * config_.value_dim,
                 config_.attention_dim(), v_b);
    });
  });
  Step(plans.v, [&](Range piece) {
    strips.v.ForEach(piece, [&](size_t, Range rows) {
      MultiplyHeads(v_b, rows, {scratch_.latent.out, config_.output_dim()}, sizes.output_dim);
    });
  });
}

// Rows of tokens, so many floats apart, side by side as the input of a head's part of a matrix.
void ForwardMember::GatherHead(int64_t head, Range tokens, const float* from, int64_t from_stride,
                               const WeightMatrix& matrix) const {
  for (int64_t t = tokens.begin; t < tokens.end; ++t) {
    const int64_t at = (head * n_ + t) * matrix.cols;
    float* row = scratch_.latent.by_head + at;
    std::copy_n(from + t * from_stride, matrix.cols, row);
    if (!matrix.quantized_input) continue;
    const QuantizedBuffer out = scratch_.latent.by_head_q.From(at);
    kernels_.quantize_rows(row, 1, matrix.cols, out.q, out.scale, out.sums);
  }
}

// Rows of one head.
void ForwardMember::MultiplyHeads(const WeightMatrix& matrix, Range rows, StridedRows out,
                                  int64_t head_stride) const {
  const int64_t head_rows = matrix.rows / config_.n_heads;
  const int64_t head = rows.begin / head_rows;
  const int64_t at = head * n_ * matrix.cols;
  const ForwardInput input{n_, scratch_.latent.by_head + at,
                           scratch_.latent.by_head_q.From(at).Rows()};
  MultiplyBlock(matrix, {head * head_rows, (head + 1) * head_rows}, input,
                {rows.begin - head * head_rows, rows.end - head * head_rows},
                {out.data + head * head_stride, out.stride});
}

// Where a head's key and value are; of latents the key is put together here.
StoredRows ForwardMember::RowsToStore(const LlamaLayer& layer, int64_t kv_head,
                                      int64_t token) const {
  float* key = scratch_.k + token * config_.k_dim() + kv_head * config_.head_dim;
  if (!config_.has_latent()) {
    return {key, scratch_.v + token * config_.v_dim() + kv_head * config_.value_dim};
  }
  const int64_t kv_rank = config_.latent.kv_rank;
  const int64_t unrotated = config_.rot_begin();
  const float* latent = scratch_.latent.kv_a + token * (kv_rank + config_.n_rot);
  std::copy_n(latent + kv_rank, config_.n_rot, key + unrotated);
  if (config_.latent.cached) {
    Normalize(layer.latent.kv_a_norm, latent, kv_rank, key);
    return {key, key};
  }
  const float* made =
      scratch_.latent.kv_b + (token * config_.n_heads + kv_head) * config_.latent_rows();
  std::copy_n(made, unrotated, key);
  return {key, made + unrotated};
}

}  // namespace llmrun
