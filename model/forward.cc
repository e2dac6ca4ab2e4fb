#include "model/forward.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <span>

#include "base/check.h"
#include "compute/codec.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

// Inner borders of row ranges: whole cache lines of output, whole blocks of quantized activations.
constexpr int64_t kRowUnit = 16;
constexpr int64_t kActivationUnit = kQuantBlock;

constexpr GroupId LayerGroup(int64_t layer) { return static_cast<GroupId>(1 + layer); }

// The right-hand side of a product, one row a token.
struct Input {
  int64_t n_tokens = 0;
  const float* x = nullptr;
  QuantizedRows xq;
};

// The copy on this node, or the first.
const TensorPiece& Nearest(std::span<const TensorPiece> copies, std::optional<unsigned> node) {
  const auto found = std::ranges::find(copies, node, &TensorPiece::node);
  return found == copies.end() ? copies.front() : *found;
}

struct Product {
  const WeightMatrix& matrix;
  float* out;  // [n_tokens][matrix.rows]
};

// What one member does. All members call the same steps in the same order.
class Member {
 public:
  Member(const ForwardParts& parts, const ForwardBatch& batch, int index, Status* shared_status)
      : parts_(parts),
        config_(parts.config),
        kernels_(parts.kernels),
        scratch_(parts.scratch),
        batch_(batch),
        n_(static_cast<int64_t>(batch.tokens.size())),
        index_(index),
        members_(parts.pool.size()),
        place_(parts.places[static_cast<size_t>(index)]),
        shared_status_(shared_status) {}

  void Run();

 private:
  bool Proceed(GroupId next);
  Status CheckProceed(GroupId next) const;

  void Embed();
  void Attention(int64_t layer_index);
  void StoreKeysAndValues(int64_t layer_index);
  void Attend(int64_t layer_index);
  void FeedForward(const LlamaLayer& layer);
  void Logits();

  Input Prepare(const float* x, int64_t n_tokens, int64_t n_cols, const float* norm, bool quantize);
  void Multiply(const WeightMatrix& matrix, const Input& input, Range rows, float* out) const;
  void MultiplyAll(const Input& input, std::initializer_list<Product> products) const;
  void MultiplyAndAdd(const WeightMatrix& matrix, const Input& input) const;
  template <typename F>
  void ForOwnPairs(int64_t heads_per_kv, F&& f) const;
  Range Own(int64_t n, int64_t unit) const { return StaticRange(n, members_, index_, unit); }
  Range OwnRows(const WeightMatrix& matrix, int64_t unit) const;
  void Barrier() const { parts_.pool.Barrier(); }
  bool Traces() const { return parts_.trace != nullptr && index_ == 0; }
  double TraceNow() const { return Traces() ? parts_.trace->Now() : 0; }

  const ForwardParts& parts_;
  const ModelConfig& config_;
  const Kernels& kernels_;
  const ScratchArrays& scratch_;
  const ForwardBatch& batch_;
  const int64_t n_;
  const int index_;
  const int members_;
  const NodePlace& place_;
  Status* const shared_status_;  // written by member 0 before a barrier, read by all after it
};

void Member::Run() {
  const std::vector<LlamaLayer>& layers = parts_.llama.layers;
  const int64_t n_layers = config_.n_layers;
  Embed();
  if (!Proceed(LayerGroup(0))) return;
  for (int64_t i = 0; i < n_layers; ++i) {
    const double begin_s = TraceNow();
    Attention(i);
    FeedForward(layers[static_cast<size_t>(i)]);
    if (Traces()) parts_.trace->Add("compute", fmt::format("layer {}", i), begin_s);
    // After the last layer comes the group of the output, for those who need it.
    const bool wants_next = i + 1 < n_layers || batch_.n_logits > 0;
    if (!Proceed(LayerGroup(wants_next ? i + 1 : i))) return;
  }
  if (batch_.n_logits > 0) Logits();
}

// Ends a stage: a barrier after which all members go on, or all leave.
bool Member::Proceed(GroupId next) {
  if (index_ == 0) *shared_status_ = CheckProceed(next);
  Barrier();
  return shared_status_->has_value();
}

Status Member::CheckProceed(GroupId next) const {
  if (parts_.interrupted && parts_.interrupted()) {
    return MakeError(ErrorCode::kUsage, "interrupted");
  }
  if (parts_.trace == nullptr || parts_.weights.GroupReady(next)) {
    return parts_.weights.WaitGroup(next);
  }
  const double begin_s = TraceNow();
  Status arrived = parts_.weights.WaitGroup(next);
  parts_.trace->Add("compute waits", fmt::format("group {}", next), begin_s);
  return arrived;
}

void Member::Embed() {
  const IndexedTensor& embd = parts_.weights.index().at(parts_.llama.token_embd);
  const uint64_t row_bytes = RowBytes(embd.dtype, embd.dims[0]);
  const int64_t d = config_.d_model;
  const Range own = Own(n_, 1);
  for (int64_t t = own.begin; t < own.end; ++t) {
    const std::byte* row = scratch_.embd + static_cast<uint64_t>(t) * row_bytes;
    CHECK(DequantizeRow(embd.dtype, row, d, scratch_.x + t * d).has_value());
  }
}

// Makes rows of x the input of a product: normalized if `norm` is given, as int8 if `quantize`.
// Several tokens are shared out over the members; a single one is prepared by each member for
// itself, which is cheaper than a barrier.
Input Member::Prepare(const float* x, int64_t n_tokens, int64_t n_cols, const float* norm,
                      bool quantize) {
  const bool single = n_tokens == 1;
  const Range own = single ? Range{0, 1} : Own(n_tokens, 1);
  const int64_t first_row = single ? index_ : 0;
  if (norm != nullptr) {
    float* normed = scratch_.normed + first_row * n_cols;
    for (int64_t t = own.begin; t < own.end; ++t) {
      kernels_.rms_norm(x + t * n_cols, norm, n_cols, config_.norm_eps, normed + t * n_cols);
    }
    x = normed;
  }
  const QuantizedBuffer rows = scratch_.input.From(first_row * n_cols);
  if (quantize && !own.empty()) {
    const QuantizedBuffer out = rows.From(own.begin * n_cols);
    kernels_.quantize_rows(x + own.begin * n_cols, own.size(), n_cols, out.q, out.scale, out.sums);
  }
  if (!single && (norm != nullptr || quantize)) Barrier();
  return {n_tokens, x, rows.Rows()};
}

// Rows of a matrix that this member multiplies with; of a sharded one those of its node.
Range Member::OwnRows(const WeightMatrix& matrix, int64_t unit) const {
  if (!matrix.sharded() || !place_.node) return Own(matrix.rows, unit);
  for (const TensorPiece& piece : matrix.pieces) {
    if (piece.node != place_.node) continue;
    const auto begin = static_cast<int64_t>(piece.row_begin);
    const Range own =
        StaticRange(static_cast<int64_t>(piece.view.rows()), place_.members, place_.rank, unit);
    return {begin + own.begin, begin + own.end};
  }
  return {};
}

void Member::Multiply(const WeightMatrix& matrix, const Input& input, Range rows,
                      float* out) const {
  const std::span<const TensorPiece> pieces =
      matrix.mirrored() ? std::span(&Nearest(matrix.pieces, place_.node), 1) : matrix.pieces;
  for (const TensorPiece& piece : pieces) {
    const auto first = static_cast<int64_t>(piece.row_begin);
    const Range here{std::max(rows.begin - first, int64_t{0}),
                     std::min(rows.end - first, static_cast<int64_t>(piece.view.rows()))};
    if (here.empty()) continue;
    const bool done = kernels_.matmul({.dtype = matrix.dtype,
                                       .weights = piece.view.data,
                                       .row_bytes = matrix.row_bytes,
                                       .n_cols = matrix.cols,
                                       .row_begin = here.begin,
                                       .row_end = here.end,
                                       .n_tokens = input.n_tokens,
                                       .x = input.x,
                                       .xq = input.xq,
                                       .out = out + first,
                                       .out_stride = matrix.rows});
    CHECK(done);  // binding checked type and shape
  }
}

// Shares out the rows of all products as if they were one matrix, or each by its nodes.
void Member::MultiplyAll(const Input& input, std::initializer_list<Product> products) const {
  if (std::ranges::any_of(products, [](const Product& p) { return p.matrix.sharded(); })) {
    for (const Product& product : products) {
      Multiply(product.matrix, input, OwnRows(product.matrix, kRowUnit), product.out);
    }
    return;
  }
  int64_t total = 0;
  for (const Product& product : products) total += product.matrix.rows;
  const Range own = Own(total, kRowUnit);
  int64_t first = 0;
  for (const Product& product : products) {
    const int64_t rows = product.matrix.rows;
    Multiply(product.matrix, input,
             {std::max<int64_t>(own.begin - first, 0), std::min(own.end - first, rows)},
             product.out);
    first += rows;
  }
}

// x += matrix * input, each member for its own columns of x.
void Member::MultiplyAndAdd(const WeightMatrix& matrix, const Input& input) const {
  const Range own = OwnRows(matrix, kRowUnit);
  Multiply(matrix, input, own, scratch_.delta);
  for (int64_t t = 0; t < input.n_tokens; ++t) {
    const int64_t at = t * matrix.rows + own.begin;
    kernels_.add(scratch_.x + at, scratch_.delta + at, own.size());
  }
}

// Calls f(head, token) for this member's pairs, of so many heads for each of the cache; of heads
// that are dealt out to nodes those of its own. Later tokens look at more positions, so each head's
// tokens are dealt out in turn; heads are in the outer loop because a head's keys stay in cache.
template <typename F>
void Member::ForOwnPairs(int64_t heads_per_kv, F&& f) const {
  Range kv_heads{0, config_.n_kv_heads};
  int64_t members = members_;
  int64_t index = index_;
  if (const auto here = place_.node ? parts_.kv.HeadsOn(*place_.node) : std::nullopt) {
    kv_heads = *here;
    members = place_.members;
    index = place_.rank;
  }
  for (int64_t head = kv_heads.begin * heads_per_kv; head < kv_heads.end * heads_per_kv; ++head) {
    const int64_t first = ((index - head) % members + members) % members;
    for (int64_t t = first; t < n_; t += members) f(head, t);
  }
}

void Member::Attention(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const bool quantize =
      layer.q.quantized_input || layer.k.quantized_input || layer.v.quantized_input;
  const Input input = Prepare(scratch_.x, n_, config_.d_model, layer.attn_norm, quantize);
  MultiplyAll(input, {{layer.q, scratch_.q}, {layer.k, scratch_.k}, {layer.v, scratch_.v}});
  Barrier();
  StoreKeysAndValues(layer_index);
  Barrier();
  Attend(layer_index);
  Barrier();
  const WeightMatrix& output = layer.attn_output;
  MultiplyAndAdd(output,
                 Prepare(scratch_.attention, n_, config_.q_dim(), nullptr, output.quantized_input));
  Barrier();
}

void Member::StoreKeysAndValues(int64_t layer_index) {
  const int64_t head_dim = config_.head_dim;
  const KvCache& kv = parts_.kv;
  ForOwnPairs(1, [&](int64_t head, int64_t t) {
    const int64_t position = batch_.position + t;
    const int64_t at = t * config_.kv_dim() + head * head_dim;
    kernels_.rope(scratch_.k + at, parts_.rope.Cos(position), parts_.rope.Sin(position),
                  config_.n_rot, config_.rope_interleaved);
    kernels_.store_kv(scratch_.k + at, head_dim, kv.type(), kv.Keys(layer_index, head, position));
    kernels_.store_kv(scratch_.v + at, head_dim, kv.type(), kv.Values(layer_index, head, position));
  });
}

void Member::Attend(int64_t layer_index) {
  const int64_t head_dim = config_.head_dim;
  const int64_t heads_per_kv = config_.n_heads / config_.n_kv_heads;
  const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)));
  const KvCache& kv = parts_.kv;
  ForOwnPairs(heads_per_kv, [&](int64_t head, int64_t t) {
    const int64_t position = batch_.position + t;
    const int64_t at = t * config_.q_dim() + head * head_dim;
    kernels_.rope(scratch_.q + at, parts_.rope.Cos(position), parts_.rope.Sin(position),
                  config_.n_rot, config_.rope_interleaved);
    kernels_.attention({.q = scratch_.q + at,
                        .k = kv.Keys(layer_index, head / heads_per_kv, 0),
                        .v = kv.Values(layer_index, head / heads_per_kv, 0),
                        .kv_dtype = kv.type(),
                        .k_stride_bytes = kv.stride_bytes(),
                        .v_stride_bytes = kv.stride_bytes(),
                        .head_dim = head_dim,
                        .n_pos = position + 1,
                        .scale = scale,
                        .scores = scratch_.scores + index_ * scratch_.scores_stride,
                        .out = scratch_.attention + at});
  });
}

void Member::FeedForward(const LlamaLayer& layer) {
  const int64_t d_ff = config_.d_ff;
  const Input input = Prepare(scratch_.x, n_, config_.d_model, layer.ffn_norm,
                              layer.gate.quantized_input || layer.up.quantized_input);
  // The same rows of gate and up, so that their product, and its int8 form, need no barrier.
  const Range own = OwnRows(layer.gate, kActivationUnit);
  Multiply(layer.gate, input, own, scratch_.gate);
  Multiply(layer.up, input, own, scratch_.up);
  for (int64_t t = 0; t < n_; ++t) {
    const int64_t at = t * d_ff + own.begin;
    kernels_.silu_mul(scratch_.gate + at, scratch_.up + at, own.size());
    if (layer.down.quantized_input && !own.empty()) {
      const QuantizedBuffer out = scratch_.activation.From(at);
      kernels_.quantize_rows(scratch_.gate + at, 1, own.size(), out.q, out.scale, out.sums);
    }
  }
  Barrier();
  MultiplyAndAdd(layer.down, {n_, scratch_.gate, scratch_.activation.Rows()});
}

void Member::Logits() {
  const WeightMatrix& output = parts_.llama.output;
  const float* last = scratch_.x + (n_ - batch_.n_logits) * config_.d_model;
  const Input input = Prepare(last, batch_.n_logits, config_.d_model, parts_.llama.output_norm,
                              output.quantized_input);
  Multiply(output, input, OwnRows(output, kRowUnit), batch_.logits);
}

}  // namespace

Status RunForward(const ForwardParts& parts, const ForwardBatch& batch) {
  Status status;
  parts.pool.Run([&](int index) { Member(parts, batch, index, &status).Run(); });
  return status;
}

}  // namespace llmrun
