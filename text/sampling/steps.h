// The steps of the sampler by name, and in which order they run.
// Threads: pure functions.
// Failure: kUsage for an unknown name or letter, with those that are known.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmrun {

enum class SamplerStep : uint8_t {
  kPenalties,
  kDry,
  kTopNSigma,
  kTopK,
  kTypical,
  kTopP,
  kMinP,
  kXtc,
  kTemperature,
};

// All of them, in the customary order.
std::vector<SamplerStep> DefaultSamplerSteps();
// "top_k;top_p;temperature": names separated by ";" (the customary other spellings, too).
Result<std::vector<SamplerStep>> ParseSamplerNames(std::string_view names);
// "kpt": one letter each.
Result<std::vector<SamplerStep>> ParseSamplerLetters(std::string_view letters);
// As ParseSamplerNames() reads them.
std::string SamplerNames(const std::vector<SamplerStep>& steps);

}  // namespace llmrun
