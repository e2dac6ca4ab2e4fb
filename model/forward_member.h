// One member's way through a forward pass: internal to model/forward.cc.
// Threads: each member belongs to one thread; what they share is ForwardPass.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "compute/kernels.h"
#include "model/forward.h"
#include "model/forward_plans.h"
#include "sched/partition.h"
#include "sched/work_steps.h"

namespace llmrun {

// The right-hand side of a product, one row a token.
struct ForwardInput {
  int64_t n_tokens = 0;
  const float* x = nullptr;
  QuantizedRows xq;
};

// What the members of one pass share.
struct ForwardPass {
  const BatchPlans plans;
  const bool proceeds_at_once;  // the same for all members
  Status status = {};           // written before `failed` is set, once
  std::atomic<bool> failed{false};
};

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
  template <typename Work>
  void Step(const StepPlan& plan, Work&& work) {
    const double begin_s = TraceNow();
    steps_.Step(plan, work);
    if (Traces()) parts_.trace->Add("steps", std::string(ForwardZoneNames()[plan.zone]), begin_s);
  }
  bool Proceed(GroupId next);
  bool CheckedProceed(GroupId next);
  Status CheckProceed(GroupId next) const;

  void Embed();
  void Attention(int64_t layer_index);
  void StoreKeyAndValue(int64_t layer_index, int64_t kv_head, int64_t t) const;
  void AttendHead(int64_t layer_index, int64_t head, int64_t t) const;
  void Attend(int64_t layer_index);
  void FeedForward(int64_t layer_index);
  void Logits();

  // The input of a product: rows of x, normalized if `norm` is given, as int8 if `quantize`.
  struct Wish {
    const float* x = nullptr;
    int64_t n_tokens = 0;
    int64_t n_cols = 0;
    const float* norm = nullptr;
    bool quantize = false;
  };
  // How a member comes to it inside a step: known beforehand, or made at the first piece.
  class Prepared {
   public:
    Prepared(const ForwardMember& member, const Wish& wish, std::optional<ForwardInput> input)
        : member_(member), wish_(wish), input_(input) {}
    const ForwardInput& Get() {
      if (!input_) input_ = member_.PrepareRows(wish_, {0, 1}, member_.index_);
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

  void Multiply(const WeightMatrix& matrix, const ForwardInput& input, Range rows,
                float* out) const;
  void MultiplyAndAdd(const StepPlan& plan, const RowStrips& strips, const WeightMatrix& matrix,
                      Prepared input);
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
