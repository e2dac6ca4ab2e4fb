#include "model/forward.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "compute/codec.h"
#include "compute/kernels/flush_denormals.h"
#include "compute/packing.h"
#include "model/forward_member.h"
#include "model/importance_collector.h"
#include "sched/partition.h"
#include "sched/work_steps.h"

namespace llmrun {
namespace {

constexpr GroupId LayerGroup(int64_t layer) { return static_cast<GroupId>(1 + layer); }

// The copy on this node, or the first.
const TensorPiece& Nearest(std::span<const TensorPiece> copies, std::optional<unsigned> node) {
  const auto found = std::ranges::find(copies, node, &TensorPiece::node);
  return found == copies.end() ? copies.front() : *found;
}

// What stands behind the rows of the last piece.
float ScaleOf(const WeightMatrix& matrix, const TensorPiece& last) {
  return TensorScale(matrix.dtype, last.view.data + last.view.rows() * matrix.row_bytes);
}

void Scale(float* x, int64_t n, float factor) {
  if (factor == 1) return;
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace

void ForwardMember::Run() {
  const int64_t n_layers = config_.n_layers;
  Embed();
  if (!Proceed(LayerGroup(0))) return;
  for (int64_t i = 0; i < n_layers; ++i) {
    const double begin_s = TraceNow();
    Attention(i);
    config_.HasExperts(i) ? FeedExperts(i) : FeedForward(i);
    if (Traces()) parts_.trace->Add("compute", fmt::format("layer {}", i), begin_s);
    // After the last layer comes the group of the output, for those who need it.
    const bool wants_next = i + 1 < n_layers || batch_.n_logits > 0;
    if (!Proceed(LayerGroup(wants_next ? i + 1 : i))) return;
  }
  if (batch_.n_logits > 0) Logits();
}

// Of one token, once all weights are there, only before the first layer: a step costs little, but a
// token has many. Otherwise before each.
bool ForwardMember::Proceed(GroupId next) {
  if (pass_.proceeds_at_once && next != LayerGroup(0)) return true;
  return CheckedProceed(next);
}

// Whether the weights of the next stage are there; if not, all members leave. One that comes late
// may find so a stage earlier than the others did.
bool ForwardMember::CheckedProceed(GroupId next) {
  Step(plans_.proceed, [&](Range /*once*/) {
    Status status = CheckProceed(next);
    if (status) return;
    pass_.status = std::move(status);
    pass_.failed.store(true, std::memory_order_release);
  });
  return !pass_.failed.load(std::memory_order_acquire);
}

Status ForwardMember::CheckProceed(GroupId next) const {
  if (parts_.interrupted && parts_.interrupted()) {
    return MakeError(ErrorCode::kUsage, "interrupted");
  }
  if (parts_.trace == nullptr || parts_.weights.GroupReady(next)) {
    return parts_.weights.WaitGroup(next);
  }
  const double begin_s = parts_.trace->Now();
  Status arrived = parts_.weights.WaitGroup(next);
  parts_.trace->Add("compute waits", fmt::format("group {}", next), begin_s);
  return arrived;
}

void ForwardMember::Embed() {
  const IndexedTensor& embd = parts_.weights.index().at(parts_.llama.token_embd);
  const uint64_t row_bytes = RowBytes(embd.dtype, embd.dims[0]);
  const int64_t d = config_.d_model;
  const auto scale = static_cast<float>(config_.embedding_scale);
  Step(batch_plans_.embed, [&](Range tokens) {
    for (int64_t t = tokens.begin; t < tokens.end; ++t) {
      const std::byte* row = scratch_.embd + static_cast<uint64_t>(t) * row_bytes;
      float* x = scratch_.x + t * d;
      CHECK(DequantizeRow(embd.dtype, row, d, x).has_value());
      Scale(x, d, scale);
    }
  });
}

// Several tokens are shared out over the members; a single one is prepared by each member for
// itself, which is cheaper than a step. It is so inside the step that needs it: a member that comes
// late must not read what the others write by then.
ForwardMember::Prepared ForwardMember::Prepare(const StepPlan& plan, const Wish& wish) {
  if (!wish.norm && !wish.quantize) {
    return {*this, wish, ForwardInput{wish.n_tokens, wish.x, scratch_.input.Rows()}};
  }
  if (wish.n_tokens == 1) return {*this, wish, std::nullopt};
  Step(plan, [&](Range tokens) { PrepareRows(wish, tokens, 0); });
  return {*this, wish,
          ForwardInput{wish.n_tokens, wish.norm ? scratch_.normed : wish.x, scratch_.input.Rows()}};
}

// These tokens; the rows of token 0 begin at `first_row`.
ForwardInput ForwardMember::PrepareRows(const Wish& wish, Range tokens, int64_t first_row) const {
  const int64_t n_cols = wish.n_cols;
  const float* x = wish.x;
  if (wish.norm) {
    float* normed = scratch_.normed + first_row * n_cols;
    for (int64_t t = tokens.begin; t < tokens.end; ++t) {
      Normalize(wish.norm, x + t * wish.stride, n_cols, normed + t * n_cols);
    }
    x = normed;
  }
  const QuantizedBuffer rows = scratch_.input.From(first_row * n_cols);
  if (wish.quantize) {
    const QuantizedBuffer out = rows.From(tokens.begin * n_cols);
    kernels_.quantize_rows(x + tokens.begin * n_cols, tokens.size(), n_cols, out.q, out.scale,
                           out.sums);
  }
  return {wish.n_tokens, x, rows.Rows()};
}

void ForwardMember::AddTables(int64_t n_cols, ForwardInput& input) const {
  if (input.n_tokens != 1 || input.xq.tables != nullptr) return;
  int8_t* tables = scratch_.tables + index_ * scratch_.tables_stride;
  kernels_.make_tables(input.xq.q, n_cols, tables);
  input.xq.tables = tables;
}

void ForwardMember::MultiplyBlock(const WeightMatrix& matrix, Range block,
                                  const ForwardInput& input, Range rows, StridedRows out) const {
  if (parts_.importance != nullptr && rows.begin == 0) Measure(matrix, block, input);
  const std::span<const TensorPiece> pieces =
      matrix.mirrored() ? std::span(&Nearest(matrix.pieces, node_), 1) : matrix.pieces;
  for (const TensorPiece& piece : pieces) {
    const auto first = static_cast<int64_t>(piece.row_begin);
    const auto all_rows = static_cast<int64_t>(piece.view.rows());
    // Where the block begins in this piece; whole panels stand before it (model/weight_packing.cc).
    const int64_t begin = std::max(block.begin, first);
    const Range here{std::max(block.begin + rows.begin, begin) - begin,
                     std::min({block.begin + rows.end, block.end, first + all_rows}) - begin};
    if (here.empty()) continue;
    const auto before = static_cast<uint64_t>(begin - first);
    const int64_t packed_rows = matrix.packed ? PackedRowsOf(all_rows) - (begin - first) : 0;
    QuantizedRows xq = input.xq;
    if (!matrix.looked_up) xq.tables = nullptr;
    const bool done = kernels_.matmul({.dtype = matrix.dtype,
                                       .weights = piece.view.data + before * matrix.row_bytes,
                                       .row_bytes = matrix.row_bytes,
                                       .packed_rows = packed_rows,
                                       .n_cols = matrix.cols,
                                       .row_begin = here.begin,
                                       .row_end = here.end,
                                       .n_tokens = input.n_tokens,
                                       .x = input.x,
                                       .xq = xq,
                                       .out = out.data + (begin - block.begin),
                                       .out_stride = out.stride,
                                       .tensor_scale = ScaleOf(matrix, pieces.back())});
    CHECK(done);  // binding checked type and shape
  }
  ScaleAndAddBias(matrix, block, rows, input.n_tokens, out);
}

// The first rows of a tensor, or of an expert, speak for the others.
void ForwardMember::Measure(const WeightMatrix& matrix, Range block,
                            const ForwardInput& input) const {
  const auto rows = static_cast<int64_t>(parts_.weights.index().at(matrix.tensor).dims[1]);
  if (block.begin % rows != 0) return;
  parts_.importance->Add(matrix.tensor, block.begin / rows, input.n_tokens, input.x,
                         matrix.quantized_input ? &input.xq : nullptr);
}

// What stands beside the rows of a matrix; arguments as those of MultiplyBlock().
void ForwardMember::ScaleAndAddBias(const WeightMatrix& matrix, Range block, Range rows,
                                    int64_t n_tokens, StridedRows out) const {
  if (matrix.scale == nullptr && matrix.bias == nullptr) return;
  for (int64_t t = 0; t < n_tokens; ++t) {
    float* y = out.data + t * out.stride + rows.begin;
    if (matrix.scale != nullptr) Scale(y, rows.size(), *matrix.scale);
    if (matrix.bias != nullptr) {
      kernels_.add(y, matrix.bias + (block.begin - matrix.first_row) + rows.begin, rows.size());
    }
  }
}

void ForwardMember::MultiplyToDelta(const StepPlan& plan, const RowStrips& strips,
                                    const WeightMatrix& matrix, Prepared input, bool add) {
  Step(plan, [&](Range piece) {
    strips.ForEach(piece, [&](size_t, Range rows) {
      const ForwardInput& in = input.Get();
      Multiply(matrix, in, rows, scratch_.delta);
      if (!add) return;
      for (int64_t t = 0; t < in.n_tokens; ++t) AddDelta(t * matrix.rows + rows.begin, rows.size());
    });
  });
}

void ForwardMember::MultiplyAndAdd(const StepPlan& plan, const RowStrips& strips,
                                   const WeightMatrix& matrix, const NormWeights& post_norm,
                                   Prepared input) {
  MultiplyToDelta(plan, strips, matrix, std::move(input), !post_norm);
  if (!post_norm) return;
  // Only a whole row can be normalized.
  Step(batch_plans_.prepare, [&](Range tokens) {
    const int64_t d = config_.d_model;
    for (int64_t t = tokens.begin; t < tokens.end; ++t) {
      float* delta = scratch_.delta + t * d;
      Normalize(post_norm, delta, d, delta);
      AddDelta(t * d, d);
    }
  });
}

// x += delta, as much of it as the model wants, for n elements from `at` on.
void ForwardMember::AddDelta(int64_t at, int64_t n) const {
  if (config_.residual_scale == 1) return kernels_.add(scratch_.x + at, scratch_.delta + at, n);
  kernels_.add_scaled(scratch_.x + at, scratch_.delta + at,
                      static_cast<float>(config_.residual_scale), n);
}

void ForwardMember::Activate(int64_t at, int64_t n, bool quantize) const {
  float* gate = scratch_.gate + at;
  switch (config_.kind.activation) {
    case Activation::kSilu:
      kernels_.silu_mul(gate, scratch_.up + at, n);
      break;
    case Activation::kSquaredRelu:
      kernels_.relu2_mul(gate, scratch_.up + at, n);
      break;
    case Activation::kGelu:
      kernels_.gelu_mul(gate, scratch_.up + at, n);
      break;
    case Activation::kClampedSwiglu:
      kernels_.clamped_swiglu(gate, scratch_.up + at, n);
      break;
  }
  if (!quantize) return;
  const QuantizedBuffer out = scratch_.activation.From(at);
  kernels_.quantize_rows(gate, 1, n, out.q, out.scale, out.sums);
}

void ForwardMember::FeedForward(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const LayerStrips& strips = parts_.strips.layers[static_cast<size_t>(layer_index)];
  const LayerPlans& plans = plans_.layers[static_cast<size_t>(layer_index)];
  MultiplyAndAdd(plans.down, strips.down, layer.ffn.down, layer.ffn_post_norm,
                 GateAndUp(layer_index, layer.ffn));
}

// What goes into `down`.
ForwardMember::Prepared ForwardMember::GateAndUp(int64_t layer_index,
                                                 const GatedMatrices& matrices) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const LayerStrips& strips = parts_.strips.layers[static_cast<size_t>(layer_index)];
  const WeightMatrix& gate = matrices.gate;
  const WeightMatrix& up = matrices.up;
  const WeightMatrix& down = matrices.down;
  const int64_t d_ff = gate.rows;
  Prepared input =
      Prepare(batch_plans_.prepare, {.x = scratch_.x,
                                     .n_tokens = n_,
                                     .n_cols = config_.d_model,
                                     .norm = layer.ffn_norm,
                                     .quantize = gate.quantized_input || up.quantized_input,
                                     .look_up = gate.looked_up || up.looked_up});
  // The same rows of gate and up, so that their product, and its int8 form, are of the same step;
  // unless all of a row is normalized before.
  const bool normalizes = bool{layer.ffn_sub_norm};
  const bool quantize = down.quantized_input && !normalizes;
  const auto work = [&](size_t, Range rows) {
    Multiply(gate, input.Get(), rows, scratch_.gate);
    Multiply(up, input.Get(), rows, scratch_.up);
    for (int64_t t = 0; t < n_; ++t) Activate(t * d_ff + rows.begin, rows.size(), quantize);
  };
  Step(plans_.layers[static_cast<size_t>(layer_index)].gate,
       [&](Range piece) { strips.gate.ForEach(piece, work); });
  const Wish wish{.x = scratch_.gate,
                  .n_tokens = n_,
                  .n_cols = d_ff,
                  .norm = layer.ffn_sub_norm,
                  .quantize = down.quantized_input,
                  .look_up = down.looked_up};
  if (!normalizes) {
    return {*this, wish, ForwardInput{n_, scratch_.gate, scratch_.activation.Rows()}};
  }
  return Prepare(batch_plans_.prepare, wish);
}

void ForwardMember::Logits() {
  const WeightMatrix& output = parts_.llama.output;
  const RowStrips& strips = parts_.strips.output;
  const float* last = scratch_.x + (n_ - batch_.n_logits) * config_.d_model;
  Prepared input = Prepare(batch_plans_.prepare_logits, {.x = last,
                                                         .n_tokens = batch_.n_logits,
                                                         .n_cols = config_.d_model,
                                                         .norm = parts_.llama.output_norm,
                                                         .quantize = output.quantized_input,
                                                         .look_up = output.looked_up});
  Step(plans_.output, [&](Range piece) {
    strips.ForEach(piece, [&](size_t, Range rows) {
      Multiply(output, input.Get(), rows, batch_.logits);
      ScaleAndCapLogits(rows);
    });
  });
}

void ForwardMember::ScaleAndCapLogits(Range rows) const {
  for (int64_t t = 0; t < batch_.n_logits; ++t) {
    float* logits = batch_.logits + t * config_.n_vocab + rows.begin;
    Scale(logits, rows.size(), static_cast<float>(config_.logit_scale));
    if (config_.logit_cap == 0) continue;
    kernels_.soft_cap(logits, static_cast<float>(config_.logit_cap), rows.size());
  }
}

bool AllArrived(const Weights& weights, const ModelConfig& config) {
  for (int64_t group = 0; group <= config.n_layers; ++group) {
    if (!weights.GroupReady(LayerGroup(group))) return false;
  }
  return true;
}

Status RunForward(const ForwardParts& parts, const ForwardBatch& batch) {
  CHECK(parts.plans.team == parts.pool.team());
  const auto n_tokens = static_cast<int64_t>(batch.tokens.size());
  ForwardPass pass{
      .plans = PlansOfBatch(*parts.plans.team, parts.kv, parts.config,
                            {n_tokens, batch.n_logits, batch.position}),
      .proceeds_at_once = n_tokens == 1 && AllArrived(parts.weights, parts.config),
      .heads = std::vector<HeadProgress>(static_cast<size_t>(parts.config.n_kv_heads))};
  parts.pool.RunSteps([&](int index) {
    const FlushDenormals flush;
    ForwardMember(parts, batch, index, pass).Run();
  });
  return pass.status;
}

}  // namespace llmrun
