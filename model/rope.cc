#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace llmrun {
namespace {

// How much of the scale each pair gets: 0 up to pair `first`, 1 from pair `last` on.
class YarnRamp {
 public:
  YarnRamp(const RopeParams& params, const YarnParams& yarn)
      : first_(std::max(0.0, std::floor(PairThatTurns(yarn.beta_fast, params, yarn)))),
        last_(std::min(static_cast<double>(params.n_rot - 1),
                       std::ceil(PairThatTurns(yarn.beta_slow, params, yarn)))) {}

  double At(int64_t pair) const {
    // Where both are the same pair, the step is a steep ramp.
    const double width = std::max(last_ - first_, 1e-3);
    return std::clamp((static_cast<double>(pair) - first_) / width, 0.0, 1.0);
  }

 private:
  // Not a whole number: where base^(-2i / n_rot) * original_context is `times` circles.
  static double PairThatTurns(double times, const RopeParams& params, const YarnParams& yarn) {
    const double circles = static_cast<double>(yarn.original_context) / (2 * std::numbers::pi);
    return static_cast<double>(params.n_rot) * std::log(circles / times) /
           (2 * std::log(params.base));
  }

  double first_;
  double last_;
};

}  // namespace

RopeTable::RopeTable(const RopeParams& params, std::span<const float> factors)
    : half_(params.n_rot / 2), magnitude_(params.magnitude) {
  const double n_rot = static_cast<double>(params.n_rot);
  std::optional<YarnRamp> ramp;
  if (params.yarn) ramp.emplace(params, *params.yarn);
  for (int64_t i = 0; i < half_; ++i) {
    const double exponent = -2 * static_cast<double>(i) / n_rot;
    const double factor = factors.empty() ? 1 : factors[static_cast<size_t>(i)];
    const double share = ramp ? ramp->At(i) : 1;
    const double scale = params.scale * share + (1 - share);
    frequencies_.push_back(scale * std::pow(params.base, exponent) / factor);
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
