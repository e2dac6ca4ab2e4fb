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

template <typename Number>  // float or Lanes
struct RangeFitOf {
  Number scale{};
  Number offset{};
};
using RangeFit = RangeFitOf<float>;
using RangeFits = RangeFitOf<Lanes>;

// Weighted sums of values x and, for each of four candidates, codes q.
struct RangeSums {
  float w = 0, wx = 0, wxx = 0;
  Lanes wq{}, wqq{}, wxq{};

  Lanes Errors(const RangeFits& fit) const {
    return wxx + fit.scale * (fit.scale * wqq - 2 * wxq + 2 * fit.offset * wq) +
           fit.offset * (fit.offset * w - 2 * wx);
  }
};

// The best ranges for these sums; with `offset_at_most_0` of those that do not begin above 0.
inline RangeFits SolveRanges(const RangeSums& sums, bool offset_at_most_0) {
  const Lanes zero{};
  const float mean = sums.wx / sums.w;
  const float constant = offset_at_most_0 ? std::min(0.0F, mean) : mean;
  RangeFits fit;
  fit.scale = sums.wqq > zero ? sums.wxq / sums.wqq : zero;
  fit.offset = sums.wqq > zero ? zero : Fill(constant);
  const Lanes determinant = sums.w * sums.wqq - sums.wq * sums.wq;
  const Lanes scale = (sums.w * sums.wxq - sums.wx * sums.wq) / determinant;
  const Lanes offset = (sums.wqq * sums.wx - sums.wq * sums.wxq) / determinant;
  const float most = offset_at_most_0 ? 0 : INFINITY;
  const auto solved = (determinant > zero) & (offset <= Fill(most));
  return {solved ? scale : fit.scale, solved ? offset : fit.offset};
}

template <int kLast>
RangeSums SumsAt(const float* values, const float* weights, int n, Lanes inverse, float offset) {
  RangeSums sums;
  for (int i = 0; i < n; ++i) {
    const float w = weights[i];
    const float wx = w * values[i];
    sums.w += w;
    sums.wx += wx;
    sums.wxx += wx * values[i];
    const Lanes code = IntegerLevels<0, kLast>::Nearest((values[i] - offset) * inverse);
    sums.wq += w * code;
    sums.wqq += w * code * code;
    sums.wxq += wx * code;
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
  const auto consider = [&](Lanes inverse, float from, int count) {
    const RangeSums sums = SumsAt<kLast>(values, weights, n, inverse, from);
    const RangeFits fits = SolveRanges(sums, offset_at_most_0);
    const Lanes errors = sums.Errors(fits);
    bool better = false;
    for (int lane = 0; lane < count; ++lane) {
      if (!(fits.scale[lane] > 0 && errors[lane] < best_error)) continue;
      best = {fits.scale[lane], fits.offset[lane]};
      best_error = errors[lane];
      better = true;
    }
    return better;
  };
  constexpr int kSteps = 9;  // 19 starts: the last group has one more, which is the last once more
  for (int step = -kSteps; step <= kSteps; step += kLanes) {
    Lanes ends{};
    for (int lane = 0; lane < kLanes; ++lane) {
      ends[lane] = kLast + 0.1F * static_cast<float>(std::min(step + lane, kSteps));
    }
    consider(ends / span, offset, kLanes);
  }
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds && best.scale > 0; ++round) {
    if (!consider(Fill(1 / best.scale), best.offset, 1)) break;
  }
  return best;
}

// The weighted squared errors of values that are rounded to codes of each of four ranges.
template <int kLast>
Lanes ErrorsAt(const float* values, const float* weights, int n, const RangeFits& range) {
  const Lanes inverse = InverseOrZero(range.scale);
  Lanes sum{};
  for (int i = 0; i < n; ++i) {
    const Lanes code = IntegerLevels<0, kLast>::Nearest((values[i] - range.offset) * inverse);
    const Lanes error = values[i] - (range.scale * code + range.offset);
    sum += weights[i] * error * error;
  }
  return sum;
}

}  // namespace llmrun::quantize
