#include "model/expert_routing.h"

#include <cmath>

namespace llmrun {

void ChooseExperts(std::span<const float> logits, std::span<ExpertChoice> chosen) {
  for (size_t i = 0; i < chosen.size(); ++i) {
    const auto taken = [&](int32_t expert) {
      return std::ranges::count(chosen.first(i), expert, &ExpertChoice::expert) > 0;
    };
    int32_t best = -1;
    for (int32_t e = 0; e < static_cast<int32_t>(logits.size()); ++e) {
      if (taken(e)) continue;
      if (best < 0 || logits[static_cast<size_t>(e)] > logits[static_cast<size_t>(best)]) best = e;
    }
    chosen[i].expert = best;
  }
  const auto logit_of = [&](const ExpertChoice& choice) {
    return static_cast<double>(logits[static_cast<size_t>(choice.expert)]);
  };
  // In double precision, rounded once: the same floats whatever processor exp() was written for.
  const double largest = logit_of(chosen.front());
  double sum = 0;
  for (const ExpertChoice& choice : chosen) sum += std::exp(logit_of(choice) - largest);
  for (ExpertChoice& choice : chosen) {
    choice.weight = static_cast<float>(std::exp(logit_of(choice) - largest) / sum);
  }
}

void SortByExpert(std::span<const ExpertChoice> choices, int64_t n_used, int64_t n_experts,
                  const ExpertRows& out) {
  std::fill_n(out.first, n_experts + 1, int64_t{0});
  for (const ExpertChoice& choice : choices) ++out.first[choice.expert + 1];
  for (int64_t e = 0; e < n_experts; ++e) out.first[e + 1] += out.first[e];
  // first[e] counts up while rows are given out, and is then what first[e + 1] was.
  for (size_t i = 0; i < choices.size(); ++i) {
    const int64_t row = out.first[choices[i].expert]++;
    out.token[row] = static_cast<int64_t>(i) / n_used;
    out.of_choice[i] = row;
  }
  std::copy_backward(out.first, out.first + n_experts, out.first + n_experts + 1);
  out.first[0] = 0;
}

}  // namespace llmrun
