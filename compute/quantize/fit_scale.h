// The scale by which values come closest to levels (compute/quantize/levels.h), in the sum of
// weighted squared errors.
//
// For levels that are chosen already the best scale is (sum w x l) / (sum w l^2), and what it takes
// off the error is the square of the first over the second. So scales are tried that put the
// largest value at either end of the levels, or somewhat within or beyond; the best of them is
// improved by rounding and solving in turn.
// Threads: pure functions.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include "compute/quantize/levels.h"

namespace llmrun::quantize {

struct ScaleFit {
  float scale = 0;
  float gain = 0;  // by how much the error is less than with a scale of 0
};

// For each of four scales, given as their inverses: the best scale for the levels that it chooses.
struct ScaleFits {
  Lanes scale;
  Lanes gain;
};

template <typename Levels>
ScaleFits ScalesOfLevelsAt(const float* values, const float* weights, int n, Lanes inverse) {
  Lanes products{};
  Lanes squares{};
  for (int i = 0; i < n; ++i) {
    const Lanes level = Levels::Nearest(values[i] * inverse);
    products += weights[i] * values[i] * level;
    squares += weights[i] * level * level;
  }
  const Lanes gain = products * products / squares;
  return {products / squares, squares > Fill(0) ? gain : Fill(0)};
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

// What the largest value becomes, levels being whole numbers: about the lowest and the highest.
template <typename Levels>
struct ScaleStarts {
  static constexpr int kSteps = 9;
  static constexpr int kCount = 2 * (2 * kSteps + 1);
  static constexpr std::array<float, kCount + kCount % kLanes> kEnds = [] {
    std::array<float, kCount + kCount % kLanes> ends{};
    size_t i = 0;
    for (const float end : {Levels::kLow, Levels::kHigh}) {
      for (int step = -kSteps; step <= kSteps; ++step) {
        ends[i++] = end + 0.1F * static_cast<float>(step) * Levels::kGap;
      }
    }
    for (; i < ends.size(); ++i) ends[i] = ends[kCount - 1];
    return ends;
  }();
  static_assert(kEnds.size() % kLanes == 0);
};

template <typename Levels>
ScaleFit FitScale(const float* values, const float* weights, int n) {
  const float largest = LargestOf(values, n);
  if (std::fabs(largest) < kLeastMagnitude) return {};
  ScaleFit best;
  const auto consider = [&](Lanes inverse, int count) {
    const ScaleFits fits = ScalesOfLevelsAt<Levels>(values, weights, n, inverse);
    bool better = false;
    for (int lane = 0; lane < count; ++lane) {
      if (!(fits.gain[lane] > best.gain)) continue;
      best = {fits.scale[lane], fits.gain[lane]};
      better = true;
    }
    return better;
  };
  constexpr auto& kEnds = ScaleStarts<Levels>::kEnds;
  for (size_t i = 0; i < kEnds.size(); i += kLanes) consider(Load(&kEnds[i]) / largest, kLanes);
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds && best.scale != 0; ++round) {
    if (!consider(Fill(1 / best.scale), 1)) break;
  }
  return best;
}

// The weighted squared errors of values that are rounded to levels times each of four scales.
template <typename Levels>
Lanes ErrorsAt(const float* values, const float* weights, int n, Lanes scale) {
  const Lanes inverse = InverseOrZero(scale);
  Lanes sum{};
  for (int i = 0; i < n; ++i) {
    const Lanes error = values[i] - scale * Levels::Nearest(values[i] * inverse);
    sum += weights[i] * error * error;
  }
  return sum;
}

}  // namespace llmrun::quantize
