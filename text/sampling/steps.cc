#include "text/sampling/steps.h"

#include <algorithm>
#include <utility>

namespace llmrun {

namespace {

struct StepName {
  SamplerStep step;
  char letter;
  std::string_view name;
};
constexpr StepName kSteps[] = {
    {SamplerStep::kPenalties, 'e', "penalties"},
    {SamplerStep::kDry, 'd', "dry"},
    {SamplerStep::kTopNSigma, 's', "top_n_sigma"},
    {SamplerStep::kTopK, 'k', "top_k"},
    {SamplerStep::kTypical, 'y', "typ_p"},
    {SamplerStep::kTopP, 'p', "top_p"},
    {SamplerStep::kMinP, 'm', "min_p"},
    {SamplerStep::kXtc, 'x', "xtc"},
    {SamplerStep::kTemperature, 't', "temperature"},
};

constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"nucleus", "top_p"}, {"temp", "temperature"}, {"typical_p", "typ_p"},
    {"typical", "typ_p"}, {"typ", "typ_p"},
};

}  // namespace

std::vector<SamplerStep> DefaultSamplerSteps() {
  std::vector<SamplerStep> steps;
  for (const StepName& entry : kSteps) steps.push_back(entry.step);
  return steps;
}

Result<std::vector<SamplerStep>> ParseSamplerNames(std::string_view names) {
  std::vector<SamplerStep> steps;
  while (!names.empty()) {
    const size_t end = std::min(names.find(';'), names.size());
    std::string name(names.substr(0, end));
    names.remove_prefix(std::min(end + 1, names.size()));
    if (name.empty()) continue;
    std::replace(name.begin(), name.end(), '-', '_');
    for (const auto& [other, customary] : kOtherNames) {
      if (name == other) name = customary;
    }
    const auto* const found =
        std::find_if(std::begin(kSteps), std::end(kSteps),
                     [&](const StepName& entry) { return entry.name == name; });
    if (found == std::end(kSteps)) {
      return MakeFixableError(ErrorCode::kUsage, SamplerNames(DefaultSamplerSteps()),
                              "samplers: '{}' is none", name);
    }
    steps.push_back(found->step);
  }
  return steps;
}

Result<std::vector<SamplerStep>> ParseSamplerLetters(std::string_view letters) {
  std::vector<SamplerStep> steps;
  for (const char letter : letters) {
    const auto* const found =
        std::find_if(std::begin(kSteps), std::end(kSteps),
                     [&](const StepName& entry) { return entry.letter == letter; });
    if (found == std::end(kSteps)) {
      return MakeFixableError(ErrorCode::kUsage, "edskypmxt", "samplers: the letter '{}' is none",
                              letter);
    }
    steps.push_back(found->step);
  }
  return steps;
}

std::string SamplerNames(const std::vector<SamplerStep>& steps) {
  std::string out;
  for (const SamplerStep step : steps) {
    for (const StepName& entry : kSteps) {
      if (entry.step != step) continue;
      if (!out.empty()) out += ';';
      out += entry.name;
    }
  }
  return out;
}

}  // namespace llmrun
