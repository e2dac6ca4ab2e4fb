#include "compute/kernel_choice.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace llmrun {
namespace {

using ChoiceJson = nlohmann::ordered_json;

constexpr int kRounds = 3;
constexpr double kLeastGain = 1.03;

std::optional<std::string> StringAt(const ChoiceJson& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<int64_t> NumberAt(const ChoiceJson& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int64_t>();
}

// False for what is not a choice.
bool Add(const ChoiceJson& entry, KernelChoices* choices) {
  if (!entry.is_object()) return false;
  const auto isa = StringAt(entry, "isa");
  const auto type = ParseDType(StringAt(entry, "type").value_or(""));
  const auto rows = NumberAt(entry, "rows");
  const auto cols = NumberAt(entry, "columns");
  const auto name = StringAt(entry, "kernel");
  if (!isa || !type || !CanLookUp(*type) || !rows || !cols || !name) return false;
  const auto levels = AllIsaLevels();
  const auto level = std::ranges::find(levels, *isa, [](IsaLevel known) { return NameOf(known); });
  if (level == levels.end()) return false;
  for (const ProductKernel kernel : {ProductKernel::kMultiply, ProductKernel::kLookUp}) {
    if (*name != NameOf(kernel)) continue;
    (*choices)[{*level, *type, *rows, *cols}] = kernel;
    return true;
  }
  return false;
}

}  // namespace

std::string_view NameOf(ProductKernel kernel) {
  return kernel == ProductKernel::kLookUp ? "lookup" : "multiply";
}

ProductKernel FasterKernel(const std::function<double(ProductKernel)>& measure) {
  double multiply = 0;
  double look_up = 0;
  for (int round = 0; round < kRounds; ++round) {
    const double a = measure(ProductKernel::kMultiply);
    const double b = measure(ProductKernel::kLookUp);
    multiply = round == 0 ? a : std::min(multiply, a);
    look_up = round == 0 ? b : std::min(look_up, b);
  }
  return look_up * kLeastGain <= multiply ? ProductKernel::kLookUp : ProductKernel::kMultiply;
}

std::string KernelChoicesText(const KernelChoices& choices, std::string_view processor) {
  ChoiceJson entries = ChoiceJson::array();
  for (const auto& [shape, kernel] : choices) {
    entries.push_back({{"isa", NameOf(shape.isa)},
                       {"type", NameOf(shape.type)},
                       {"rows", shape.rows},
                       {"columns", shape.cols},
                       {"kernel", NameOf(kernel)}});
  }
  const ChoiceJson json = {
      {"version", kKernelChoiceVersion}, {"processor", processor}, {"choices", entries}};
  return json.dump(2, ' ', false, ChoiceJson::error_handler_t::replace) + "\n";
}

KernelChoices ParseKernelChoices(std::string_view text, std::string_view processor) {
  const ChoiceJson json = ChoiceJson::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || NumberAt(json, "version") != kKernelChoiceVersion ||
      StringAt(json, "processor") != processor) {
    return {};
  }
  const auto entries = json.find("choices");
  if (entries == json.end() || !entries->is_array()) return {};
  KernelChoices choices;
  for (const ChoiceJson& entry : *entries) {
    if (!Add(entry, &choices)) return {};
  }
  return choices;
}

}  // namespace llmrun
