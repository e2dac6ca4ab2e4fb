#include "model/rope.h"

#include <cmath>

namespace llmrun {

RopeTable::RopeTable(const RopeParams& params, std::span<const float> factors)
    : half_(params.n_rot / 2), magnitude_(params.magnitude) {
  const double n_rot = static_cast<double>(params.n_rot);
  for (int64_t i = 0; i < half_; ++i) {
    const double exponent = -2 * static_cast<double>(i) / n_rot;
    const double factor = factors.empty() ? 1 : factors[static_cast<size_t>(i)];
    frequencies_.push_back(params.scale * std::pow(params.base, exponent) / factor);
  }
}

void RopeTable::Grow(int64_t n) {
  const int64_t have = static_cast<int64_t>(cos_.size()) / half_;
  for (int64_t position = have; position < n; ++position) {
    for (const double frequency : frequencies_) {
      const double angle = static_cast<double>(position) * frequency;
      cos_.push_back(static_cast<float>(magnitude_ * std::cos(angle)));
      sin_.push_back(static_cast<float>(magnitude_ * std::sin(angle)));
    }
  }
}

}  // namespace llmrun
