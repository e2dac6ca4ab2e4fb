// One member's way through a forward pass: internal to model/forward.cc.
// Threads: each member belongs to one thread; what they share is ForwardPass.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "compute/kernels.h"
#include "model/forward.h"
#include "model/forward_pass.h"
#include "model/forward_plans.h"
#include "sched/partition.h"
#include "sched/work_steps.h"

namespace llmrun {

// What one member does. All members call the same steps in the same order.
class ForwardMember {
 public:
  ForwardMember(const ForwardParts& parts, const ForwardBatch& batch, int index, ForwardPass& pass)
      : parts_(parts),
        config_(parts.config),
        kernels_(parts.kernels),
        scratch_(parts.scratch),
        batch_(batch),
        n_(static_cast<int64_t>(batch.tokens.size())),
        index_(index),
        node_(parts.plans.team->node(index)),
        plans_(parts.plans),
        batch_plans_(pass.plans),
        pass_(pass),
        steps_(parts.pool.steps(), index) {}

  void Run();

 private:
  // The input of a product: rows of x; normalized, as int8, of one token with tables, if asked for.
  struct Wish {
    const float* x = nullptr;
    int64_t n_tokens = 0;
    int64_t n_cols = 0;
    NormWeights norm = {};
    int64_t stride = n_cols;  // floats from row to row; only of what is normalized another
    bool quantize = false;
    bool look_up = false;
  };

  class Prepared;

  template <typename Work>
  void Step(const StepPlan& plan, Work&& work) {
    StepInStages(Stage<Work&>{plan, work});
  }
  template <typename... Works>
  void StepInStages(const Stage<Works>&... stages) {
    const double begin_s = TraceNow();
    steps_.StepInStages(stages...);
    if (!Traces()) return;
    const std::string_view names[] = {ForwardZoneNames()[stages.plan.zone]...};
    parts_.trace->Add("steps", fmt::format("{}", fmt::join(names, "+")), begin_s);
  }
  bool Proceed(GroupId next);
  bool CheckedProceed(GroupId next);
  Status CheckProceed(GroupId next) const;

  void Embed();
  void FeedForward(int64_t layer_index);
  Prepared GateAndUp(int64_t layer_index, const GatedMatrices& matrices);
  void Logits();
  void ScaleAndCapLogits(Range rows) const;

  void FeedExperts(int64_t layer_index);
  void FeedShared(int64_t layer_index);
  void FeedExpertsOfOne(const LlamaLayer& layer);
  Wish WishOfExperts(const LlamaLayer& layer) const;
  void Route(const LlamaLayer& layer, const ForwardInput& input, float* logits,
             ExpertChoice* choices) const;
  void RouteTokens(int64_t layer_index, Range tokens) const;
  void GatherRows(const LlamaLayer& layer, Range rows) const;
  void GateExpert(const LlamaLayer& layer, int64_t expert, const ForwardInput& input,
                  int64_t first_row, Range rows) const;
  void DownExpert(const LlamaLayer& layer, int64_t expert, Range expert_rows, Range rows) const;
  void AddExperts(const LlamaLayer& layer, Range tokens) const;

  void Attention(int64_t layer_index);
  void ProjectAndAttend(int64_t layer_index);
  void ProjectLatents(int64_t layer_index);
  void AttendToLatents(int64_t layer_index);
  void AttendByLatents(int64_t layer_index);
  void GatherHead(int64_t head, Range tokens, const float* from, int64_t from_stride,
                  const WeightMatrix& matrix) const;
  void MultiplyHeads(const WeightMatrix& matrix, Range rows, StridedRows out,
                     int64_t head_stride) const;
  template <typename... Works>
  void AttendInStages(int64_t layer_index, const Stage<Works>&... before);
  void NormalizeQkRows(const LlamaLayer& layer, Range tokens) const;
  void ProjectRows(int64_t layer_index, size_t matrix, const ForwardInput& input, Range rows);
  void StoreAndAttend(int64_t layer_index, Range kv_heads);
  void StorePairs(int64_t layer_index, Range pairs);     // (kv head, token)
  void AttendRuns(int64_t layer_index, Range runs);      // (kv head, run of tokens)
  void AttendChunks(int64_t layer_index, Range chunks);  // (kv head, chunk of positions)
  void Store(int64_t layer_index, int64_t kv_head, Range tokens) const;
  void Attend(int64_t layer_index, int64_t kv_head, Range tokens) const;
  AttentionArgs ArgsOf(int64_t layer_index, int64_t kv_head, Range tokens) const;
  void QuantizeAttention(int64_t layer_index, int64_t kv_head, Range tokens) const;
  StoredRows RowsToStore(const LlamaLayer& layer, int64_t kv_head, int64_t token) const;
  int64_t HeadsPerKv() const { return config_.n_heads / config_.n_kv_heads; }
  HeadProgress& Head(int64_t kv_head) { return pass_.heads[static_cast<size_t>(kv_head)]; }
  uint64_t ProjectedTarget(int64_t layer_index) const {
    const int64_t rows = config_.latent.cached ? config_.n_heads * config_.latent.kv_rank
                         : config_.has_latent()
                             ? config_.latent_rows()
                             : (HeadsPerKv() + 1) * config_.head_dim + config_.value_dim;
    return static_cast<uint64_t>((layer_index + 1) * rows);
  }
  uint64_t StoredTarget(int64_t layer_index) const {
    return static_cast<uint64_t>((layer_index + 1) * n_);
  }
  // Attention gives its rows as int8 too, unless a block would lie in two heads or all of a row is
  // normalized before.
  bool QuantizesHeads(const LlamaLayer& layer) const {
    return layer.attn_output.quantized_input && !layer.attn_sub_norm && !config_.latent.cached &&
           config_.value_dim % kQuantBlock == 0;
  }

  // How a member comes to it inside a step: known beforehand, or made at the first piece.
  class Prepared {
   public:
    Prepared(const ForwardMember& member, const Wish& wish, std::optional<ForwardInput> input)
        : member_(member), wish_(wish), input_(input) {}
    const ForwardInput& Get() {
      if (!input_) input_ = member_.PrepareRows(wish_, {0, 1}, member_.index_);
      if (wish_.look_up) member_.AddTables(wish_.n_cols, *input_);
      return *input_;
    }

   private:
    const ForwardMember& member_;
    const Wish wish_;
    std::optional<ForwardInput> input_;
  };
  // `plan`: of wish.n_tokens.
  Prepared Prepare(const StepPlan& plan, const Wish& wish);
  ForwardInput PrepareRows(const Wish& wish, Range tokens, int64_t first_row) const;
  // Of a single token, unless there are; valid until the next call of this member.
  void AddTables(int64_t n_cols, ForwardInput& input) const;
  void Normalize(const NormWeights& norm, const float* x, int64_t n, float* out) const {
    if (norm.bias != nullptr) {
      kernels_.layer_norm(x, norm.weight, norm.bias, n, config_.norm_eps, out);
    } else {
      kernels_.rms_norm(x, norm.weight, n, config_.norm_eps, out);
    }
  }
  // gate = activation(gate) * up, of n elements from `at` on; as int8 too, if `quantize`.
  void Activate(int64_t at, int64_t n, bool quantize) const;

  // out: [n_tokens][matrix.rows].
  void Multiply(const WeightMatrix& matrix, const ForwardInput& input, Range rows,
                float* out) const {
    MultiplyBlock(matrix, {matrix.first_row, matrix.first_row + matrix.rows}, input, rows,
                  {out, matrix.rows});
  }
  // The same for a matrix that is made of some rows of another, an expert's say; `rows` are its
  // own. out: block.size() floats a token.
  void MultiplyBlock(const WeightMatrix& matrix, Range block, const ForwardInput& input, Range rows,
                     StridedRows out) const;
  void Measure(const WeightMatrix& matrix, Range block, const ForwardInput& input) const;
  void ScaleAndAddBias(const WeightMatrix& matrix, Range block, Range rows, int64_t n_tokens,
                       StridedRows out) const;
  // delta = matrix * input; x += delta, too, if `add`.
  void MultiplyToDelta(const StepPlan& plan, const RowStrips& strips, const WeightMatrix& matrix,
                       Prepared input, bool add);
  // x += matrix * input; normalized before, if `post_norm` is given.
  void MultiplyAndAdd(const StepPlan& plan, const RowStrips& strips, const WeightMatrix& matrix,
                      const NormWeights& post_norm, Prepared input);
  void AddDelta(int64_t at, int64_t n) const;
  bool Traces() const { return parts_.trace != nullptr && index_ == 0; }
  double TraceNow() const { return Traces() ? parts_.trace->Now() : 0; }

  const ForwardParts& parts_;
  const ModelConfig& config_;
  const Kernels& kernels_;
  const ScratchArrays& scratch_;
  const ForwardBatch& batch_;
  const int64_t n_;
  const int index_;
  const std::optional<unsigned> node_;
  const ForwardPlans& plans_;
  const BatchPlans& batch_plans_;
  ForwardPass& pass_;
  WorkSteps::Member steps_;
};

}  // namespace llmrun
