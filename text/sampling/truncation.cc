#include "text/sampling/truncation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace llmrun {

void KeepTopK(int k, Candidates* candidates) {
  if (k > 0) candidates->KeepBest(static_cast<size_t>(k));
}

void KeepTopP(double p, Candidates* candidates) {
  if (p >= 1) return;
  (void)candidates->Sorted();
  const std::span<const double> probabilities = candidates->Probabilities();
  double sum = 0;
  size_t kept = 0;
  while (kept < probabilities.size() && (kept == 0 || sum < p)) sum += probabilities[kept++];
  candidates->KeepBest(kept);
}

void KeepMinP(double p, Candidates* candidates) {
  const Candidate* const best = candidates->Best();
  if (p <= 0 || best == nullptr) return;
  const double least = double{best->logit} + std::log(p);
  const std::span<const Candidate> all = candidates->Possible();
  // The best itself stays whatever rounding does.
  const double best_logit = best->logit;
  candidates->KeepWhere([&](size_t i) {
    return double{all[i].logit} >= least || double{all[i].logit} == best_logit;
  });
}

void KeepTypical(double p, Candidates* candidates) {
  if (p >= 1) return;
  const std::span<const double> probabilities = candidates->Probabilities();
  double entropy = 0;
  for (const double q : probabilities) entropy -= q > 0 ? q * std::log(q) : 0;
  const auto distance = [&](size_t i) { return std::abs(-std::log(probabilities[i]) - entropy); };
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return distance(a) < distance(b); });
  std::vector<bool> kept(order.size());
  double sum = 0;
  for (const size_t i : order) {
    kept[i] = true;
    sum += probabilities[i];
    if (sum > p) break;
  }
  candidates->KeepWhere([&](size_t i) { return kept[i]; });
}

void KeepTopNSigma(double n, Candidates* candidates) {
  const std::span<const Candidate> all = candidates->Possible();
  if (n <= 0 || all.size() <= 1) return;
  const auto count = static_cast<double>(all.size());
  double sum = 0;
  for (const Candidate& c : all) sum += double{c.logit};
  const double mean = sum / count;
  double squares = 0;
  for (const Candidate& c : all) squares += (double{c.logit} - mean) * (double{c.logit} - mean);
  const double best = candidates->Best()->logit;
  const double least = best - n * std::sqrt(squares / count);
  candidates->KeepWhere([&](size_t i) { return double{all[i].logit} >= least; });
}

void ExcludeTopChoices(double probability, double threshold, Random* random,
                       Candidates* candidates) {
  if (probability <= 0 || threshold > 0.5 || candidates->Possible().size() < 2) return;
  if (random->NextUnit() >= probability) return;
  (void)candidates->Sorted();
  const std::span<const double> probabilities = candidates->Probabilities();
  size_t likely = 0;
  while (likely < probabilities.size() && probabilities[likely] >= threshold) ++likely;
  if (likely > 1) candidates->DropBest(likely - 1);
}

}  // namespace llmrun
