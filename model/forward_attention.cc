// The attention block of a layer. Its heads do not wait for each other: each goes on from rows of
// q, k and v to the cache, and from there to attention, when what it needs is there.
#include "model/forward_attention.h"

#include <algorithm>
#include <cstdint>

#include "model/forward_member.h"

namespace llmrun {

void ForwardMember::Attention(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const LayerStrips& strips = parts_.strips.layers[static_cast<size_t>(layer_index)];
  const LayerPlans& plans = plans_.layers[static_cast<size_t>(layer_index)];
  if (config_.latent.cached) {
    AttendByLatents(layer_index);
  } else {
    config_.has_latent() ? AttendToLatents(layer_index) : ProjectAndAttend(layer_index);
  }
  const Wish wish{.x = config_.latent.cached ? scratch_.latent.out : scratch_.attention,
                  .n_tokens = n_,
                  .n_cols = config_.output_dim(),
                  .norm = layer.attn_sub_norm,
                  .quantize = layer.attn_output.quantized_input,
                  .look_up = layer.attn_output.looked_up};
  MultiplyAndAdd(
      plans.attn_output, strips.attn_output, layer.attn_output, layer.attn_post_norm,
      QuantizesHeads(layer)
          ? Prepared{*this, wish, ForwardInput{n_, scratch_.attention, scratch_.activation.Rows()}}
          : Prepare(batch_plans_.prepare, wish));
}

void ForwardMember::ProjectAndAttend(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const LayerStrips& strips = parts_.strips.layers[static_cast<size_t>(layer_index)];
  const LayerPlans& plans = plans_.layers[static_cast<size_t>(layer_index)];
  const bool quantize =
      layer.q.quantized_input || layer.k.quantized_input || layer.v.quantized_input;
  const bool look_up = layer.q.looked_up || layer.k.looked_up || layer.v.looked_up;
  Prepared input = Prepare(batch_plans_.prepare, {.x = scratch_.x,
                                                  .n_tokens = n_,
                                                  .n_cols = config_.d_model,
                                                  .norm = layer.attn_norm,
                                                  .quantize = quantize,
                                                  .look_up = look_up});
  const auto project = [&](Range piece) {
    strips.qkv.ForEach(piece, [&](size_t matrix, Range rows) {
      ProjectRows(layer_index, matrix, input.Get(), rows);
    });
  };
  if (config_.kind.qk_norm == QkNorm::kRow) {
    Step(plans.qkv, project);
    Step(batch_plans_.prepare, [&](Range tokens) { NormalizeQkRows(layer, tokens); });
    AttendInStages(layer_index);
  } else {
    AttendInStages(layer_index, Stage{plans.qkv, project});
  }
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
    Store(layer_index, i, {0, 1});
    Attend(layer_index, i, {0, 1});
  }
}

void ForwardMember::StorePairs(int64_t layer_index, Range pairs) {
  ForEachPart(pairs, n_, [&](int64_t kv_head, Range tokens) {
    HeadProgress& progress = Head(kv_head);
    steps_.AwaitInStep(progress.projected, ProjectedTarget(layer_index));
    Store(layer_index, kv_head, tokens);
    progress.stored.Add(static_cast<uint64_t>(tokens.size()), StoredTarget(layer_index));
  });
}

void ForwardMember::AttendRuns(int64_t layer_index, Range runs) {
  const int64_t size = batch_plans_.tokens_of_run;
  ForEachPart(runs, (n_ + size - 1) / size, [&](int64_t kv_head, Range part) {
    steps_.AwaitInStep(Head(kv_head).stored, StoredTarget(layer_index));
    Attend(layer_index, kv_head, {part.begin * size, std::min(part.end * size, n_)});
  });
}

// Who does the last chunk of a head puts them together.
void ForwardMember::AttendChunks(int64_t layer_index, Range chunks) {
  const int64_t n_chunks = batch_plans_.n_chunks;
  const auto target = static_cast<uint64_t>((layer_index + 1) * n_chunks);
  ForEachPart(chunks, n_chunks, [&](int64_t kv_head, Range part) {
    HeadProgress& progress = Head(kv_head);
    steps_.AwaitInStep(progress.stored, StoredTarget(layer_index));
    const AttentionArgs args = ArgsOf(layer_index, kv_head, {0, 1});
    float* sums = scratch_.chunks + kv_head * HeadsPerKv() * scratch_.chunks_of_head;
    for (int64_t i = part.begin; i < part.end; ++i) kernels_.attend_chunk(args, i, sums);
    if (progress.attended.Add(static_cast<uint64_t>(part.size()), target) != target) return;
    kernels_.merge_chunks(args, sums);
    QuantizeAttention(layer_index, kv_head, {0, 1});
  });
}

void ForwardMember::NormalizeQkRows(const LlamaLayer& layer, Range tokens) const {
  for (int64_t t = tokens.begin; t < tokens.end; ++t) {
    float* q = scratch_.q + t * config_.q_dim();
    float* k = scratch_.k + t * config_.k_dim();
    Normalize(layer.q_norm, q, config_.q_dim(), q);
    Normalize(layer.k_norm, k, config_.k_dim(), k);
  }
}

// Normalizes (if that is done by the head) and rotates the keys of one head, and the queries that
// look at it, and puts keys and values into the cache.
void ForwardMember::Store(int64_t layer_index, int64_t kv_head, Range tokens) const {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const bool normalizes = config_.kind.qk_norm == QkNorm::kHead;
  const bool rotates = config_.HasRope(layer_index);
  const RopeTable& rope = parts_.rope.Of(config_.IsLocal(layer_index));
  const int64_t head_dim = config_.head_dim;
  const KvTypes types = parts_.kv.types();
  std::byte* keys = parts_.kv.Keys(layer_index, kv_head);
  std::byte* values = parts_.kv.Values(layer_index, kv_head);
  for (int64_t t = tokens.begin; t < tokens.end; ++t) {
    const int64_t position = batch_.position + t;
    const auto prepare = [&](float* head, const NormWeights& norm) {
      if (normalizes) Normalize(norm, head, head_dim, head);
      if (!rotates) return;
      kernels_.rope(head + config_.rot_begin(), rope.Cos(position), rope.Sin(position),
                    config_.n_rot, config_.kind.rope_interleaved);
    };
    for (int64_t i = 0; i < HeadsPerKv(); ++i) {
      prepare(scratch_.q + t * config_.q_dim() + (kv_head * HeadsPerKv() + i) * head_dim,
              layer.q_norm);
    }
    const auto [key, value] = RowsToStore(layer, kv_head, t);
    prepare(key, layer.k_norm);
    kernels_.store_key(key, head_dim, types.keys, keys, position);
    kernels_.store_value(value, config_.value_dim, types.values, values, position);
  }
}

AttentionArgs ForwardMember::ArgsOf(int64_t layer_index, int64_t kv_head, Range tokens) const {
  const int64_t head_dim = config_.head_dim;
  const int64_t value_dim = config_.value_dim;
  const int64_t first_head = kv_head * HeadsPerKv();
  const KvTypes types = parts_.kv.types();
  const float* sinks = parts_.llama.layers[static_cast<size_t>(layer_index)].sinks;
  return {
      .q = scratch_.q + tokens.begin * config_.q_dim() + first_head * head_dim,
      .q_stride = config_.q_dim(),
      .n_tokens = tokens.size(),
      .n_heads = HeadsPerKv(),
      .head_dim = head_dim,
      .value_dim = value_dim,
      .n_pos = batch_.position + tokens.begin + 1,
      .window = config_.WindowOf(layer_index),
      .keys = {parts_.kv.Keys(layer_index, kv_head), types.keys},
      .values = {parts_.kv.Values(layer_index, kv_head), types.values},
      .scale = static_cast<float>(config_.attention_scale),
      .soft_cap = static_cast<float>(config_.attention_cap),
      .sinks = sinks == nullptr ? nullptr : sinks + first_head,
      .scratch = scratch_.attending + index_ * scratch_.attending_stride,
      .out = scratch_.attention + tokens.begin * config_.attention_dim() + first_head * value_dim,
      .out_stride = config_.attention_dim()};
}

void ForwardMember::Attend(int64_t layer_index, int64_t kv_head, Range tokens) const {
  kernels_.attention(ArgsOf(layer_index, kv_head, tokens));
  QuantizeAttention(layer_index, kv_head, tokens);
}

void ForwardMember::QuantizeAttention(int64_t layer_index, int64_t kv_head, Range tokens) const {
  if (!QuantizesHeads(parts_.llama.layers[static_cast<size_t>(layer_index)])) return;
  const int64_t n_cols = HeadsPerKv() * config_.value_dim;
  for (int64_t t = tokens.begin; t < tokens.end; ++t) {
    const int64_t at = t * config_.attention_dim() + kv_head * n_cols;
    const QuantizedBuffer out = scratch_.activation.From(at);
    kernels_.quantize_rows(scratch_.attention + at, 1, n_cols, out.q, out.scale, out.sums);
  }
}

}  // namespace llmrun
