// The feed-forward block of a layer that is a mixture of experts. The rows of all experts are
// worked on in one step for gate and up and in one for down, so that nobody waits because his
// expert has few tokens.
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "model/expert_routing.h"
#include "model/forward_member.h"

namespace llmrun {
namespace {

Range RowsOfExpert(const WeightMatrix& matrix, int64_t expert) {
  const int64_t rows = matrix.rows_of_expert();
  return {expert * rows, (expert + 1) * rows};
}

Range RowsOfPanels(const WeightMatrix& matrix, Range panels) {
  return {panels.begin * kExpertPanel,
          std::min(panels.end * kExpertPanel, matrix.rows_of_expert())};
}

}  // namespace

void ForwardMember::FeedExperts(int64_t layer_index) {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  FeedShared(layer_index);
  if (n_ == 1) return FeedExpertsOfOne(layer);
  const ExpertPlans& plans = batch_plans_.experts;
  const ExpertRows& all = scratch_.experts.rows;
  Step(plans.route, [&](Range tokens) { RouteTokens(layer_index, tokens); });
  Step(plans.gather, [&](Range rows) { GatherRows(layer, rows); });
  Step(plans.gate, [&](Range units) {
    const int64_t panels = ExpertPanels(config_.d_ff_expert);
    ForEachExpert(all.first, config_.n_experts, panels, units, [&](int64_t expert, Range some) {
      const int64_t first = all.first[expert];
      const ForwardInput input{all.first[expert + 1] - first,
                               scratch_.experts.x + first * config_.d_model,
                               scratch_.experts.xq.From(first * config_.d_model).Rows()};
      GateExpert(layer, expert, input, first, RowsOfPanels(layer.ffn.gate, some));
    });
  });
  Step(plans.down, [&](Range units) {
    const int64_t panels = ExpertPanels(config_.d_model);
    ForEachExpert(all.first, config_.n_experts, panels, units, [&](int64_t expert, Range some) {
      DownExpert(layer, expert, {all.first[expert], all.first[expert + 1]},
                 RowsOfPanels(layer.ffn.down, some));
    });
  });
  Step(plans.add, [&](Range tokens) { AddExperts(layer, tokens); });
}

// The expert that all tokens go to. What it gives is added to x together with that of the others,
// which are yet to read x.
void ForwardMember::FeedShared(int64_t layer_index) {
  const GatedMatrices& shared = parts_.llama.layers[static_cast<size_t>(layer_index)].shared;
  if (shared.down.rows == 0) return;
  MultiplyToDelta(plans_.layers[static_cast<size_t>(layer_index)].down,
                  parts_.strips.layers[static_cast<size_t>(layer_index)].down, shared.down,
                  GateAndUp(layer_index, shared), false);
}

// Each member that works on gate and up routes the token for itself. Whoever has the first unit
// tells those who come to down: x is being added to by then.
void ForwardMember::FeedExpertsOfOne(const LlamaLayer& layer) {
  const ExpertPlans& plans = batch_plans_.experts;
  const int64_t n_used = config_.n_experts_used;
  ExpertChoice* own = scratch_.experts.own_choices + index_ * n_used;
  const std::span<const ExpertChoice> choices(scratch_.experts.choices,
                                              static_cast<size_t>(n_used));
  std::optional<ForwardInput> input;
  Step(plans.gate, [&](Range pairs) {
    if (!input) {
      input = PrepareRows(WishOfExperts(layer), {0, 1}, index_);
      Route(layer, *input, scratch_.experts.logits + index_ * config_.n_experts, own);
    }
    if (pairs.begin == 0) std::copy_n(own, n_used, scratch_.experts.choices);
    ForEachPart(pairs, ExpertPanels(config_.d_ff_expert), [&](int64_t row, Range panels) {
      GateExpert(layer, own[row].expert, *input, row, RowsOfPanels(layer.ffn.gate, panels));
    });
  });
  Step(plans.down, [&](Range rows) {
    if (layer.shared.down.rows > 0) AddDelta(rows.begin, rows.size());
    for (int64_t row = 0; row < n_used; ++row) {
      const ExpertChoice& choice = choices[static_cast<size_t>(row)];
      DownExpert(layer, choice.expert, {row, row + 1}, rows);
      kernels_.add_scaled(scratch_.x + rows.begin,
                          scratch_.experts.out + row * config_.d_model + rows.begin, choice.weight,
                          rows.size());
    }
  });
}

ForwardMember::Wish ForwardMember::WishOfExperts(const LlamaLayer& layer) const {
  return {.x = scratch_.x,
          .n_tokens = n_,
          .n_cols = config_.d_model,
          .norm = layer.ffn_norm,
          .quantize = layer.router.quantized_input || layer.ffn.gate.quantized_input ||
                      layer.ffn.up.quantized_input};
}

// logits: [n_tokens][n_experts]; choices: [n_tokens][n_experts_used].
void ForwardMember::Route(const LlamaLayer& layer, const ForwardInput& input, float* logits,
                          ExpertChoice* choices) const {
  Multiply(layer.router, input, {0, config_.n_experts}, logits);
  for (int64_t t = 0; t < input.n_tokens; ++t) {
    ChooseExperts(
        config_.router, {logits + t * config_.n_experts, static_cast<size_t>(config_.n_experts)},
        layer.router_bias,
        {choices + t * config_.n_experts_used, static_cast<size_t>(config_.n_experts_used)});
  }
}

// Who routes the last token sorts them all.
void ForwardMember::RouteTokens(int64_t layer_index, Range tokens) const {
  const LlamaLayer& layer = parts_.llama.layers[static_cast<size_t>(layer_index)];
  const ExpertScratch& experts = scratch_.experts;
  const int64_t at = tokens.begin * config_.d_model;
  const ForwardInput all = PrepareRows(WishOfExperts(layer), tokens, 0);
  Route(layer, {tokens.size(), all.x + at, scratch_.input.From(at).Rows()},
        experts.logits + tokens.begin * config_.n_experts,
        experts.choices + tokens.begin * config_.n_experts_used);
  const auto target = static_cast<uint64_t>((layer_index - config_.n_dense_layers + 1) * n_);
  if (pass_.routed.Add(static_cast<uint64_t>(tokens.size()), target) != target) return;
  SortByExpert({experts.choices, static_cast<size_t>(n_ * config_.n_experts_used)},
               config_.n_experts_used, config_.n_experts, experts.rows);
}

// Copies of what RouteTokens() prepared.
void ForwardMember::GatherRows(const LlamaLayer& layer, Range rows) const {
  const int64_t d = config_.d_model;
  const auto copy = [](auto* to, const auto* from, int64_t n) { std::copy_n(from, n, to); };
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t token = scratch_.experts.rows.token[row];
    if (!layer.ffn.gate.quantized_input || !layer.ffn.up.quantized_input) {
      copy(scratch_.experts.x + row * d, scratch_.normed + token * d, d);
    }
    if (layer.ffn.gate.quantized_input || layer.ffn.up.quantized_input) {
      const QuantizedBuffer to = scratch_.experts.xq.From(row * d);
      const QuantizedRows from = scratch_.input.From(token * d).Rows();
      copy(to.q, from.q, d);
      copy(to.scale, from.scale, d / kQuantBlock);
      copy(to.sums, from.sums, d / kSumBlock);
    }
  }
}

// These rows of gate and up, and what follows from them alone, for the rows of an expert from
// `first_row` on.
void ForwardMember::GateExpert(const LlamaLayer& layer, int64_t expert, const ForwardInput& input,
                               int64_t first_row, Range rows) const {
  const int64_t at = first_row * config_.d_ff_expert;
  MultiplyBlock(layer.ffn.gate, RowsOfExpert(layer.ffn.gate, expert), input, rows,
                {scratch_.gate + at, config_.d_ff_expert});
  MultiplyBlock(layer.ffn.up, RowsOfExpert(layer.ffn.up, expert), input, rows,
                {scratch_.up + at, config_.d_ff_expert});
  for (int64_t t = 0; t < input.n_tokens; ++t) {
    Activate(at + t * config_.d_ff_expert + rows.begin, rows.size(),
             layer.ffn.down.quantized_input);
  }
}

void ForwardMember::DownExpert(const LlamaLayer& layer, int64_t expert, Range expert_rows,
                               Range rows) const {
  const int64_t at = expert_rows.begin * config_.d_ff_expert;
  MultiplyBlock(layer.ffn.down, RowsOfExpert(layer.ffn.down, expert),
                {expert_rows.size(), scratch_.gate + at, scratch_.activation.From(at).Rows()}, rows,
                {scratch_.experts.out + expert_rows.begin * config_.d_model, config_.d_model});
}

// In the order of a token's choices, whichever experts these are.
void ForwardMember::AddExperts(const LlamaLayer& layer, Range tokens) const {
  const int64_t d = config_.d_model;
  const ExpertScratch& experts = scratch_.experts;
  for (int64_t t = tokens.begin; t < tokens.end; ++t) {
    if (layer.shared.down.rows > 0) AddDelta(t * d, d);
    for (int64_t i = t * config_.n_experts_used; i < (t + 1) * config_.n_experts_used; ++i) {
      kernels_.add_scaled(scratch_.x + t * d, experts.out + experts.rows.of_choice[i] * d,
                          experts.choices[i].weight, d);
    }
  }
}

}  // namespace llmrun
