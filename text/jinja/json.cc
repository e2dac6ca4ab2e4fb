#include "text/jinja/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "text/utf8.h"

namespace llmrun::jinja {
namespace {

using Json = nlohmann::ordered_json;

Result<Value> Convert(const Json& json, int depth) {
  if (depth > kMaxNesting) {
    return MakeError(ErrorCode::kResource, "JSON nested more than {} deep", kMaxNesting);
  }
  if (json.is_boolean()) return Value::Of(json.get<bool>());
  if (json.is_number_unsigned() &&
      json.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) {
    return Value::Of(json.get<double>());
  }
  if (json.is_number_integer()) return Value::Of(json.get<int64_t>());
  if (json.is_number_float()) return Value::Of(json.get<double>());
  if (json.is_string()) return Value::Of(json.get_ref<const std::string&>());
  if (json.is_array()) {
    std::vector<Value> items;
    for (const Json& element : json) {
      ASSIGN_OR_RETURN(Value item, Convert(element, depth + 1));
      items.push_back(std::move(item));
    }
    return MakeList(std::move(items));
  }
  if (json.is_object()) {
    std::vector<std::pair<Value, Value>> items;
    for (const auto& [key, element] : json.items()) {
      ASSIGN_OR_RETURN(Value item, Convert(element, depth + 1));
      items.emplace_back(Value::Of(key), std::move(item));
    }
    return MakeDict(std::move(items));
  }
  return Value::OfNone();
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, size_t max_bytes) : style_(style), max_bytes_(max_bytes) {}

  // Recurses as deep as lists are nested: kMaxNesting.
  Status Write(const Value& value, int level) {
    if (out_.size() > max_bytes_) {
      return MakeError(ErrorCode::kResource, "JSON of more than {} bytes", max_bytes_);
    }
    if (const List* list = value.list()) return WriteList(*list, level);
    if (const Dict* dict = value.dict()) return WriteDict(*dict, level);
    if (const std::string* text = value.string()) {
      Quote(*text);
      return {};
    }
    ASSIGN_OR_RETURN(const std::string text, Scalar(value));
    out_ += text;
    return {};
  }

  std::string Take() { return std::move(out_); }

 private:
  static Result<std::string> Scalar(const Value& value) {
    if (value.is_none()) return std::string("null");
    if (value.is_bool()) return std::string(value.IsTrue() ? "true" : "false");
    if (value.is_int()) return fmt::format("{}", value.AsInt());
    if (value.is_float()) {
      const double number = value.AsDouble();
      if (std::isnan(number)) return std::string("NaN");
      if (std::isinf(number)) return std::string(number > 0 ? "Infinity" : "-Infinity");
      return FloatText(number);
    }
    if (value.is_undefined()) {
      return MakeError(ErrorCode::kBadData, "tojson of an undefined value: {}", value.What());
    }
    return MakeError(ErrorCode::kBadData, "tojson of a {}", value.TypeName());
  }

  void NewLine(int level) {
    if (style_.indent < 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(style_.indent) * static_cast<size_t>(level), ' ');
  }

  Status WriteList(const List& list, int level) {
    if (list.items.empty()) {
      out_ += "[]";
      return {};
    }
    out_ += '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      NewLine(level + 1);
      RETURN_IF_ERROR(Write(list.items[i], level + 1));
    }
    NewLine(level);
    out_ += ']';
    return {};
  }

  Status WriteDict(const Dict& dict, int level) {
    if (dict.items.empty()) {
      out_ += "{}";
      return {};
    }
    std::vector<std::pair<std::string, const Value*>> items;
    for (const auto& [key, value] : dict.items) {
      std::string name;
      if (key.string() != nullptr) {
        name = *key.string();
      } else {
        ASSIGN_OR_RETURN(name, Scalar(key));
      }
      items.emplace_back(std::move(name), &value);
    }
    if (style_.sort_keys) {
      std::ranges::stable_sort(items, {}, [](const auto& item) { return item.first; });
    }
    out_ += '{';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      NewLine(level + 1);
      Quote(items[i].first);
      out_ += style_.key_separator;
      RETURN_IF_ERROR(Write(*items[i].second, level + 1));
    }
    NewLine(level);
    out_ += '}';
    return {};
  }

  static const char* ShortEscape(int32_t code) {
    switch (code) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\b':
        return "\\b";
      case '\f':
        return "\\f";
      default:
        return nullptr;
    }
  }

  void Quote(const std::string& text) {
    out_ += '"';
    for (size_t at = 0; at < text.size();) {
      const Utf8Unit unit = Utf8At(text, at);
      const int32_t code = unit.codepoint < 0 ? 0xFFFD : unit.codepoint;
      if (const char* escape = ShortEscape(code)) {
        out_ += escape;
      } else if (code < 0x20 || (style_.ensure_ascii && code > 0x7E && code <= 0xFFFF)) {
        out_ += fmt::format("\\u{:04x}", code);
      } else if (style_.ensure_ascii && code > 0xFFFF) {
        const int32_t rest = code - 0x10000;
        out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
      } else {
        AppendUtf8(code, &out_);
      }
      at += unit.bytes;
    }
    out_ += '"';
  }

  const JsonStyle& style_;
  const size_t max_bytes_;
  std::string out_;
};

}  // namespace

Result<Value> FromJson(const Json& json) { return Convert(json, 0); }

Result<std::string> ToJson(const Value& value, const JsonStyle& style, size_t max_bytes) {
  JsonWriter writer(style, max_bytes);
  RETURN_IF_ERROR(writer.Write(value, 0));
  return writer.Take();
}

}  // namespace llmrun::jinja
