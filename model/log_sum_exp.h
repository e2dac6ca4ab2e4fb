// The log of a sum of exponentials that does not overflow.
// Threads: a pure function.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace llmrun {

// Log of the sum of exp of all logits: a token's log likelihood is its logit less that. Requires:
// there are some.
inline double LogSumExp(std::span<const float> logits) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - top);
  return top + std::log(sum);
}

}  // namespace llmrun
