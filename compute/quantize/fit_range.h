// Scale and offset by which values come closest to codes 0..last, value = scale * code + offset, in
// the sum of weighted squared errors. As in fit_scale.h: codes are chosen for scales about the one
// that spans the values, scale and offset solved for them (weighted least squares), and both are
// improved in turn.
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <cmath>

#include "compute/quantize/fit_scale.h"

namespace llmrun::quantize {

struct RangeFit {
  float scale = 0;
  float offset = 0;
};

// Weighted sums of values x and codes q.
struct RangeSums {
  float w = 0, wx = 0, wxx = 0, wq = 0, wqq = 0, wxq = 0;

  void Add(float weight, float value, float code) {
    w += weight;
    wx += weight * value;
    wxx += weight * value * value;
    wq += weight * code;
    wqq += weight * code * code;
    wxq += weight * value * code;
  }
  float Error(const RangeFit& fit) const {
    return wxx + fit.scale * (fit.scale * wqq - 2 * wxq + 2 * fit.offset * wq) +
           fit.offset * (fit.offset * w - 2 * wx);
  }
};

// The best range for these sums; with `offset_at_most_0` of those that do not begin above 0.
inline RangeFit SolveRange(const RangeSums& sums, bool offset_at_most_0) {
  const float determinant = sums.w * sums.wqq - sums.wq * sums.wq;
  if (determinant > 0) {
    const RangeFit fit = {(sums.w * sums.wxq - sums.wx * sums.wq) / determinant,
                          (sums.wqq * sums.wx - sums.wq * sums.wxq) / determinant};
    if (!offset_at_most_0 || fit.offset <= 0) return fit;
  }
  if (sums.wqq > 0) return {sums.wxq / sums.wqq, 0};
  return {0, offset_at_most_0 ? std::min(0.0F, sums.wx / sums.w) : sums.wx / sums.w};
}

template <int kLast>
RangeSums SumsAt(const float* values, const float* weights, int n, float inverse, float offset) {
  RangeSums sums;
  for (int i = 0; i < n; ++i) {
    const float code = IntegerLevels<0, kLast>::Nearest((values[i] - offset) * inverse);
    sums.Add(weights[i], values[i], code);
  }
  return sums;
}

template <int kLast>
RangeFit FitRange(const float* values, const float* weights, int n, bool offset_at_most_0) {
  const auto [least, greatest] = std::minmax_element(values, values + n);
  const float offset = offset_at_most_0 ? std::min(*least, 0.0F) : *least;
  const float span = *greatest - offset;
  if (span < kLeastMagnitude) return {0, offset};
  RangeFit best;
  float best_error = INFINITY;
  const auto consider = [&](float inverse, float from) {
    const RangeSums sums = SumsAt<kLast>(values, weights, n, inverse, from);
    const RangeFit fit = SolveRange(sums, offset_at_most_0);
    const float error = sums.Error(fit);
    const bool better = fit.scale > 0 && error < best_error;
    if (better) best = fit;
    if (better) best_error = error;
    return better;
  };
  constexpr int kSteps = 9;
  for (int step = -kSteps; step <= kSteps; ++step) {
    consider((kLast + 0.1F * static_cast<float>(step)) / span, offset);
  }
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds && best.scale > 0; ++round) {
    if (!consider(1 / best.scale, best.offset)) break;
  }
  return best;
}

// The weighted squared error of values that are rounded to codes of a range.
template <int kLast>
float ErrorAt(const float* values, const float* weights, int n, const RangeFit& range) {
  const float inverse = range.scale != 0 ? 1 / range.scale : 0;
  float sum = 0;
  for (int i = 0; i < n; ++i) {
    const float code = IntegerLevels<0, kLast>::Nearest((values[i] - range.offset) * inverse);
    const float error = values[i] - (range.scale * code + range.offset);
    sum += weights[i] * error * error;
  }
  return sum;
}

}  // namespace llmrun::quantize
