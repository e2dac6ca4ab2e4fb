// The scale by which values come closest to levels (compute/quantize/levels.h), in the sum of
// weighted squared errors.
//
// For levels that are chosen already the best scale is (sum w x l) / (sum w l^2), and what it takes
// off the error is the square of the first over the second. So scales are tried that put the
// largest value at either end of the levels, or somewhat within or beyond; the best of them is
// improved by rounding and solving in turn.
// Threads: pure functions.
#pragma once

#include <cmath>

#include "compute/quantize/levels.h"

namespace llmrun::quantize {

struct ScaleFit {
  float scale = 0;
  float gain = 0;  // by how much the error is less than with a scale of 0
};

template <typename Levels>
ScaleFit ScaleOfLevelsAt(const float* values, const float* weights, int n, float inverse) {
  float products = 0;
  float squares = 0;
  for (int i = 0; i < n; ++i) {
    const float level = Levels::Nearest(values[i] * inverse);
    products += weights[i] * values[i] * level;
    squares += weights[i] * level * level;
  }
  if (!(squares > 0)) return {};
  return {products / squares, products * products / squares};
}

// The value of largest magnitude, with its sign.
inline float LargestOf(const float* values, int n) {
  float largest = 0;
  for (int i = 0; i < n; ++i) {
    if (std::fabs(values[i]) > std::fabs(largest)) largest = values[i];
  }
  return largest;
}

inline constexpr float kLeastMagnitude = 1e-30F;  // below it, values are taken for 0

template <typename Levels>
ScaleFit FitScale(const float* values, const float* weights, int n) {
  const float largest = LargestOf(values, n);
  if (std::fabs(largest) < kLeastMagnitude) return {};
  ScaleFit best;
  const auto consider = [&](float inverse) {
    const ScaleFit fit = ScaleOfLevelsAt<Levels>(values, weights, n, inverse);
    const bool better = fit.gain > best.gain;
    if (better) best = fit;
    return better;
  };
  constexpr int kSteps = 9;
  for (const float end : {Levels::kLow, Levels::kHigh}) {
    for (int step = -kSteps; step <= kSteps; ++step) {
      consider((end + 0.1F * static_cast<float>(step) * Levels::kGap) / largest);
    }
  }
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds && best.scale != 0; ++round) {
    if (!consider(1 / best.scale)) break;
  }
  return best;
}

// The weighted squared error of values that are rounded to levels times a scale.
template <typename Levels>
float ErrorAt(const float* values, const float* weights, int n, float scale) {
  const float inverse = scale != 0 ? 1 / scale : 0;
  float sum = 0;
  for (int i = 0; i < n; ++i) {
    const float error = values[i] - scale * Levels::Nearest(values[i] * inverse);
    sum += weights[i] * error * error;
  }
  return sum;
}

}  // namespace llmrun::quantize
