// Fields of the JSON files of a Hugging Face checkpoint that may be absent: internal to
// model/hf_*.cc.
// Threads: pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace llmrun {

// null where there is no such field, or `json` has none at all.
inline const nlohmann::json& FieldOf(const nlohmann::json& json, const char* key) {
  static const nlohmann::json kNone;
  return json.is_object() && json.contains(key) ? json[key] : kNone;
}

// "" where that is no text.
inline std::string TextField(const nlohmann::json& json, const char* key) {
  const nlohmann::json& value = FieldOf(json, key);
  return value.is_string() ? value.get<std::string>() : "";
}

// The steps of a normalizer, pre-tokenizer or post-processor: those of `list`, where it is a
// sequence, else itself.
inline std::vector<nlohmann::json> StepsOf(const nlohmann::json& json, const char* list) {
  if (json.is_null()) return {};
  const nlohmann::json& steps = FieldOf(json, list);
  if (!steps.is_array()) return {json};
  return {steps.begin(), steps.end()};
}

}  // namespace llmrun
