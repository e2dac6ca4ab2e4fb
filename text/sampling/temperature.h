// Sharpens or flattens the probabilities. With a range, the temperature follows the entropy: from
// temperature - range where one token is sure to temperature + range where all are alike.
//
// Threads: no state.
#pragma once

#include "text/sampling/candidates.h"

namespace llmrun {

struct TemperatureOptions {
  float temperature = 0.8F;  // 0: only the best is left
  float range = 0;           // 0: the same temperature always
  float exponent = 1;        // of the normalized entropy
};

void ApplyTemperature(const TemperatureOptions& options, Candidates* candidates);

}  // namespace llmrun
