#include "cli/stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace llmrun {
namespace {

// Requires: sorted. Linear between the two nearest samples.
double Quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Stats Summarize(std::vector<double> samples) {
  CHECK(!samples.empty());
  std::ranges::sort(samples);
  const auto n = static_cast<double>(samples.size());
  Stats stats;
  stats.min = samples.front();
  stats.max = samples.back();
  stats.median = Quantile(samples, 0.5);
  stats.iqr = Quantile(samples, 0.75) - Quantile(samples, 0.25);
  stats.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / n;
  double squares = 0;
  for (const double x : samples) squares += (x - stats.mean) * (x - stats.mean);
  stats.stddev = samples.size() > 1 ? std::sqrt(squares / (n - 1)) : 0;
  return stats;
}

}  // namespace llmrun
