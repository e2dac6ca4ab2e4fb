#include "text/sampling/temperature.h"

#include <algorithm>
#include <cmath>

namespace llmrun {

namespace {

double FollowEntropy(const TemperatureOptions& options, Candidates* candidates) {
  const double low = std::max(0.0, double{options.temperature} - double{options.range});
  const double high = double{options.temperature} + double{options.range};
  const std::span<const double> probabilities = candidates->Probabilities();
  if (probabilities.size() <= 1) return high;
  double entropy = 0;
  for (const double p : probabilities) entropy -= p > 0 ? p * std::log(p) : 0;
  const double most = std::log(static_cast<double>(probabilities.size()));
  return low + (high - low) * std::pow(std::clamp(entropy / most, 0.0, 1.0), options.exponent);
}

}  // namespace

void ApplyTemperature(const TemperatureOptions& options, Candidates* candidates) {
  const double temperature =
      options.range > 0 ? FollowEntropy(options, candidates) : double{options.temperature};
  if (temperature <= 0) {
    candidates->KeepBest(1);
  } else if (temperature != 1) {
    candidates->Scale(temperature);
  }
}

}  // namespace llmrun
