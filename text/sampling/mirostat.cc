#include "text/sampling/mirostat.h"

#include <algorithm>
#include <cmath>

namespace llmrun {

// Zipf's exponent by least squares over the first hundred, then the count that its law gives.
size_t Mirostat::CountBySlope(size_t n_vocab, std::span<const double> probabilities) const {
  double products = 0;
  double squares = 0;
  const size_t looked_at = std::min<size_t>(probabilities.size(), 100);
  for (size_t i = 0; i + 1 < looked_at; ++i) {
    if (probabilities[i + 1] <= 0) break;
    const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
    products += t * std::log(probabilities[i] / probabilities[i + 1]);
    squares += t * t;
  }
  if (squares == 0) return 1;
  const double slope = products / squares;
  const double epsilon = slope - 1;
  const double count =
      std::pow(epsilon * std::exp2(limit_) / (1 - std::pow(static_cast<double>(n_vocab), -epsilon)),
               1 / slope);
  // Not a number where all are alike (slope 0) and at a slope of exactly 1.
  if (std::isnan(count)) return probabilities.size();
  return static_cast<size_t>(std::clamp(count, 1.0, static_cast<double>(probabilities.size())));
}

void Mirostat::Truncate(size_t n_vocab, Candidates* candidates) {
  (void)candidates->Sorted();
  const std::span<const double> probabilities = candidates->Probabilities();
  if (probabilities.empty()) return;
  size_t kept = 1;
  if (options_.version == 1) {
    kept = CountBySlope(n_vocab, probabilities);
  } else {
    while (kept < probabilities.size() && -std::log2(probabilities[kept]) <= limit_) ++kept;
  }
  candidates->KeepBest(kept);
}

void Mirostat::Drew(double probability) {
  const double surprise = -std::log2(probability);
  limit_ -= double{options_.learning_rate} * (surprise - double{options_.target_surprise});
}

}  // namespace llmrun
