// The attention block of a layer. Its heads do not wait for each other: each goes on from rows of
// q, k and v to the cache, and from there to attention, when what it needs is there.
#include <cmath>
#include <cstdint>

#include "model/forward_member.h"

namespace llmrun {
namespace {

// Calls f(head, tokens) for the runs of tokens in a range of pairs (head, token).
template <typename F>
void ForEachHead(Range pairs, int64_t n_tokens, F&& f) {
  for (int64_t i = pairs.begin; i < pairs.end;) {
    const int64_t head = i / n_tokens;
    const int64_t end = std::min(pairs.end, (head + 1) * n_tokens);
    f(head, Range{i - head * n_tokens, end - head * n_tokens});
    i = end;
  }
}

}  // namespace

void ForwardMember::Attention(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const LayerStrips& strips = parts_.strips.layers[static_cast<size_t>(layer_index)];
  const LayerPlans& plans = plans_.layers[static_cast<size_t>(layer_index)];
  const bool quantize =
      layer.q.quantized_input || layer.k.quantized_input || layer.v.quantized_input;
  Prepared input = Prepare(batch_plans_.prepare, {.x = scratch_.x,
                                                  .n_tokens = n_,
                                                  .n_cols = config_.d_model,
                                                  .norm = layer.attn_norm,
                                                  .quantize = quantize});
  const auto project = [&](Range piece) {
    strips.qkv.ForEach(piece, [&](size_t matrix, Range rows) {
      ProjectRows(layer_index, matrix, input.Get(), rows);
    });
  };
  if (batch_plans_.attend_by_kv_head.total > 0) {
    const auto attend = [&](Range kv_heads) { StoreAndAttend(layer_index, kv_heads); };
    StepInStages(Stage{plans.qkv, project}, Stage{batch_plans_.attend_by_kv_head, attend});
  } else {
    const auto store = [&](Range pairs) { StorePairs(layer_index, pairs); };
    const auto attend = [&](Range pairs) { AttendPairs(layer_index, pairs); };
    StepInStages(Stage{plans.qkv, project}, Stage{batch_plans_.store_kv, store},
                 Stage{batch_plans_.attend, attend});
  }
  const Wish wish{.x = scratch_.attention,
                  .n_tokens = n_,
                  .n_cols = config_.q_dim(),
                  .quantize = layer.attn_output.quantized_input};
  MultiplyAndAdd(
      plans.attn_output, strips.attn_output, layer.attn_output,
      QuantizesHeads(layer)
          ? Prepared{*this, {}, ForwardInput{n_, scratch_.attention, scratch_.activation.Rows()}}
          : Prepare(batch_plans_.prepare, wish));
}

// Rows of one head; the first matrix has those of all heads that look at one of the cache.
void ForwardMember::ProjectRows(int64_t layer_index, size_t matrix, const ForwardInput& input,
                                Range rows) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const WeightMatrix* const matrices[] = {&layer.q, &layer.k, &layer.v};
  float* const outs[] = {scratch_.q, scratch_.k, scratch_.v};
  Multiply(*matrices[matrix], input, rows, outs[matrix]);
  const int64_t head = rows.begin / config_.head_dim;
  Head(matrix == 0 ? head / HeadsPerKv() : head)
      .projected.Add(static_cast<uint64_t>(rows.size()), ProjectedTarget(layer_index));
}

// Of one token whoever stores a head's key is the one who needs it.
void ForwardMember::StoreAndAttend(int64_t layer_index, Range kv_heads) {
  for (int64_t i = kv_heads.begin; i < kv_heads.end; ++i) {
    steps_.AwaitInStep(Head(i).projected, ProjectedTarget(layer_index));
    StoreKeysAndValues(layer_index, i, {0, 1});
    for (int64_t j = 0; j < HeadsPerKv(); ++j) {
      AttendHead(layer_index, i * HeadsPerKv() + j, {0, 1});
    }
  }
}

void ForwardMember::StorePairs(int64_t layer_index, Range pairs) {
  ForEachHead(pairs, n_, [&](int64_t kv_head, Range tokens) {
    HeadProgress& progress = Head(kv_head);
    steps_.AwaitInStep(progress.projected, ProjectedTarget(layer_index));
    StoreKeysAndValues(layer_index, kv_head, tokens);
    progress.stored.Add(static_cast<uint64_t>(tokens.size()), StoredTarget(layer_index));
  });
}

void ForwardMember::AttendPairs(int64_t layer_index, Range pairs) {
  ForEachHead(pairs, n_, [&](int64_t head, Range tokens) {
    steps_.AwaitInStep(Head(head / HeadsPerKv()).stored, StoredTarget(layer_index));
    AttendHead(layer_index, head, tokens);
  });
}

// Rotates the keys of one head and puts them and the values into the cache.
void ForwardMember::StoreKeysAndValues(int64_t layer_index, int64_t kv_head, Range tokens) const {
  const int64_t head_dim = config_.head_dim;
  const KvCache& kv = parts_.kv;
  for (int64_t t = tokens.begin; t < tokens.end; ++t) {
    const int64_t position = batch_.position + t;
    const int64_t at = t * config_.kv_dim() + kv_head * head_dim;
    kernels_.rope(scratch_.k + at, parts_.rope.Cos(position), parts_.rope.Sin(position),
                  config_.n_rot, config_.rope_interleaved);
    kernels_.store_kv(scratch_.k + at, head_dim, kv.type(),
                      kv.Keys(layer_index, kv_head, position));
    kernels_.store_kv(scratch_.v + at, head_dim, kv.type(),
                      kv.Values(layer_index, kv_head, position));
  }
}

void ForwardMember::AttendHead(int64_t layer_index, int64_t head, Range tokens) const {
  const int64_t head_dim = config_.head_dim;
  const int64_t kv_head = head / HeadsPerKv();
  const KvCache& kv = parts_.kv;
  const bool quantizes = QuantizesHeads(parts_.llama.layers[static_cast<size_t>(layer_index)]);
  for (int64_t t = tokens.begin; t < tokens.end; ++t) {
    const int64_t position = batch_.position + t;
    const int64_t at = t * config_.q_dim() + head * head_dim;
    kernels_.rope(scratch_.q + at, parts_.rope.Cos(position), parts_.rope.Sin(position),
                  config_.n_rot, config_.rope_interleaved);
    kernels_.attention({.q = scratch_.q + at,
                        .k = kv.Keys(layer_index, kv_head, 0),
                        .v = kv.Values(layer_index, kv_head, 0),
                        .kv_dtype = kv.type(),
                        .k_stride_bytes = kv.stride_bytes(),
                        .v_stride_bytes = kv.stride_bytes(),
                        .head_dim = head_dim,
                        .n_pos = position + 1,
                        .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim))),
                        .scores = scratch_.scores + index_ * scratch_.scores_stride,
                        .out = scratch_.attention + at});
    if (!quantizes) continue;
    const QuantizedBuffer out = scratch_.activation.From(at);
    kernels_.quantize_rows(scratch_.attention + at, 1, head_dim, out.q, out.scale, out.sums);
  }
}

}  // namespace llmrun
