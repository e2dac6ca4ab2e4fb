// Mixtures of experts: which experts a token goes to, and the rows that make of it what each of
// them works on. A row is a token at one of its experts; rows stand expert by expert.
//
// Source: Shazeer et al. 2017 (the k best of all experts); Jiang et al. 2024 (Mixtral, whose
// weights are the softmax over these k); DeepSeek-AI 2024 (groups, sigmoids, a bias that only
// chooses). Threads: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "sched/partition.h"

namespace llmrun {

struct ExpertRouter {
  bool sigmoid = false;      // an expert's score is 1 / (1 + exp(-logit)), else the softmax of all
  bool renormalizes = true;  // weights are scores divided by their sum over the chosen
  double scale = 1;          // of weights
  // Only the experts of so many groups are chosen from, groups being runs of as many experts.
  int64_t n_groups = 1;
  int64_t n_groups_used = 1;
};

struct ExpertChoice {
  int32_t expert = 0;
  float weight = 0;
};

// The experts of the largest scores, the largest first, of equal ones the lower number. With a
// `bias` [n_experts] (else null) the sum of score and bias chooses; weights do not know it. Of
// groups those count that have the largest best expert, with a bias the largest two best together.
// Whatever the logits, the numbers are valid and distinct. Requires: 1 <= chosen.size() <=
// logits.size() <= kMaxRoutedExperts; of the groups used there are as many experts.
inline constexpr size_t kMaxRoutedExperts = 512;
void ChooseExperts(const ExpertRouter& router, std::span<const float> logits, const float* bias,
                   std::span<ExpertChoice> chosen);

struct ExpertRows {
  int64_t* first = nullptr;      // [n_experts + 1] rows of expert e: [first[e], first[e + 1])
  int64_t* token = nullptr;      // [rows] whose it is; ascending in an expert
  int64_t* of_choice = nullptr;  // [n_tokens][n_used] the row of each choice
};
// `choices`: [n_tokens][n_used].
void SortByExpert(std::span<const ExpertChoice> choices, int64_t n_used, int64_t n_experts,
                  const ExpertRows& out);

// What all experts have to do, as one line of equal work: each row counts as many units as its
// expert's matrix has panels (runs of rows of weights), so that an expert with c rows begins a
// panel every c units. Calls f(expert, panels) for the panels that begin in these units.
template <typename F>
void ForEachExpert(const int64_t* first, int64_t n_experts, int64_t panels, Range units, F&& f) {
  for (int64_t e = 0; e < n_experts; ++e) {
    const int64_t begin = first[e] * panels;
    const int64_t rows = first[e + 1] - first[e];
    if (begin >= units.end) return;
    if (rows == 0) continue;
    const auto panel_from = [&](int64_t unit) {  // the first that begins there or behind
      return std::min((std::max(unit, begin) - begin + rows - 1) / rows, panels);
    };
    const Range here{panel_from(units.begin), panel_from(units.end)};
    if (!here.empty()) f(e, here);
  }
}

}  // namespace llmrun
