// JSON in and out of templates: messages and tools come in as JSON, and the filter `tojson` writes
// it as the chat templates of Hugging Face's transformers expect (json.dumps of Python, characters
// beyond ASCII as they are, nothing escaped for HTML).
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"
#include "text/jinja/value.h"

namespace llmrun::jinja {

// kResource when it is nested too deep; kUsage for whole numbers beyond 64 bits.
Result<Value> FromJson(const nlohmann::ordered_json& json);

struct JsonStyle {
  bool ensure_ascii = false;
  int indent = -1;  // spaces a level; -1: all on one line
  bool sort_keys = false;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
// kBadData for what JSON has no word for; kResource beyond `max_bytes`.
Result<std::string> ToJson(const Value& value, const JsonStyle& style, size_t max_bytes);

}  // namespace llmrun::jinja
