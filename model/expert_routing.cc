#include "model/expert_routing.h"

#include <array>
#include <cmath>

namespace llmrun {

namespace {

// The place of the largest, of equal ones the first; of NaN alone the first. Skips what was taken.
size_t Best(std::span<const double> values, std::span<const bool> taken) {
  size_t best = values.size();
  for (size_t i = 0; i < values.size(); ++i) {
    if (taken[i]) continue;
    if (best == values.size() || values[i] > values[best]) best = i;
  }
  return best;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// What experts are chosen by.
void FillMerits(const ExpertRouter& router, std::span<const float> logits, const float* bias,
                std::span<double> merits) {
  std::copy(logits.begin(), logits.end(), merits.begin());
  if (bias == nullptr) return;  // logits are in the order of the scores
  double sum = 1;
  if (!router.sigmoid) {
    const double most = *std::ranges::max_element(merits);
    sum = 0;
    for (double& merit : merits) sum += merit = std::exp(merit - most);
  }
  for (size_t e = 0; e < merits.size(); ++e) {
    const double score = router.sigmoid ? Sigmoid(merits[e]) : merits[e] / sum;
    merits[e] = score + static_cast<double>(bias[e]);
  }
}

// Takes the experts of the groups that are not used.
void TakeGroups(const ExpertRouter& router, std::span<const double> merits, bool by_two,
                std::span<bool> taken) {
  std::array<double, kMaxRoutedExperts> group_merits{};
  std::array<bool, kMaxRoutedExperts> used{};
  const auto n_groups = static_cast<size_t>(router.n_groups);
  const size_t size = merits.size() / n_groups;
  for (size_t g = 0; g < n_groups; ++g) {
    const std::span<const double> group = merits.subspan(g * size, size);
    const std::span<bool> taken_here = taken.subspan(g * size, size);
    const size_t best = Best(group, taken_here);
    group_merits[g] = group[best];
    if (!by_two || size == 1) continue;
    taken_here[best] = true;
    group_merits[g] += group[Best(group, taken_here)];
    taken_here[best] = false;
  }
  for (int64_t i = 0; i < router.n_groups_used; ++i) {
    used[Best(std::span(group_merits).first(n_groups), used)] = true;
  }
  for (size_t g = 0; g < n_groups; ++g) {
    if (!used[g]) std::ranges::fill(taken.subspan(g * size, size), true);
  }
}

// In double precision, rounded once: the same floats whatever processor exp() was written for.
void Weigh(const ExpertRouter& router, std::span<const float> logits,
           std::span<ExpertChoice> chosen) {
  const auto logit_of = [&](const ExpertChoice& choice) {
    return static_cast<double>(logits[static_cast<size_t>(choice.expert)]);
  };
  // Of a softmax any number may be subtracted from logits; their largest keeps exp() in range.
  double most = logit_of(chosen.front());
  for (const ExpertChoice& choice : chosen) most = std::max(most, logit_of(choice));
  if (!router.renormalizes) most = static_cast<double>(*std::ranges::max_element(logits));
  const auto score = [&](double logit) {
    return router.sigmoid ? Sigmoid(logit) : std::exp(logit - most);
  };
  double sum = 0;
  if (router.renormalizes) {
    for (const ExpertChoice& choice : chosen) sum += score(logit_of(choice));
  } else if (!router.sigmoid) {
    for (const float logit : logits) sum += score(static_cast<double>(logit));
  } else {
    sum = 1;
  }
  sum = std::max(sum, 1e-20);  // of sigmoids that vanish
  for (ExpertChoice& choice : chosen) {
    choice.weight = static_cast<float>(score(logit_of(choice)) / sum * router.scale);
  }
}

}  // namespace

void ChooseExperts(const ExpertRouter& router, std::span<const float> logits, const float* bias,
                   std::span<ExpertChoice> chosen) {
  std::array<double, kMaxRoutedExperts> merits_of_all;
  std::array<bool, kMaxRoutedExperts> taken_of_all{};
  const std::span<double> merits = std::span(merits_of_all).first(logits.size());
  const std::span<bool> taken = std::span(taken_of_all).first(logits.size());
  FillMerits(router, logits, bias, merits);
  if (router.n_groups_used < router.n_groups) TakeGroups(router, merits, bias != nullptr, taken);
  for (ExpertChoice& choice : chosen) {
    const size_t best = Best(merits, taken);
    taken[best] = true;
    choice.expert = static_cast<int32_t>(best);
  }
  Weigh(router, logits, chosen);
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
