// Filters that give numbers, and `default`.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "text/jinja/builtins.h"

namespace llmrun::jinja {
namespace {

// Text as a number, with white space around it.
template <typename T>
std::optional<T> Parse(std::string_view text) {
  text = Strip(text, nullptr, true, true);
  if (text.starts_with('+')) text.remove_prefix(1);
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> NumberOf(const Value& value) {
  if (value.is_number()) return value.AsDouble();
  if (value.string() != nullptr) return Parse<double>(*value.string());
  return std::nullopt;
}

bool FitsInt(double number) { return number > -9.2e18 && number < 9.2e18; }  // not NaN either

Result<Value> Int(Interpreter&, const Value& self, const Arguments& arguments) {
  if (self.is_int() || self.is_bool()) return Value::Of(self.AsInt());
  if (self.string() != nullptr) {
    if (const std::optional<int64_t> whole = Parse<int64_t>(*self.string())) {
      return Value::Of(*whole);
    }
  }
  const std::optional<double> number = NumberOf(self);
  if (number && FitsInt(*number)) return Value::Of(static_cast<int64_t>(*number));
  const Value* fallback = arguments.Find(0, "default");
  return fallback == nullptr ? Value::Of(int64_t{0}) : *fallback;
}

Result<Value> Float(Interpreter&, const Value& self, const Arguments& arguments) {
  if (const std::optional<double> number = NumberOf(self)) return Value::Of(*number);
  const Value* fallback = arguments.Find(0, "default");
  return fallback == nullptr ? Value::Of(0.0) : *fallback;
}

Result<Value> Abs(Interpreter& in, const Value& self, const Arguments&) {
  if (self.is_float()) return Value::Of(std::fabs(self.AsDouble()));
  if (!self.is_number()) {
    return MakeError(ErrorCode::kBadData, "abs of a value of type {}", self.TypeName());
  }
  if (self.AsInt() >= 0) return Value::Of(self.AsInt());
  return in.Binary("-", Value::Of(int64_t{0}), self);
}

Result<Value> Round(Interpreter&, const Value& self, const Arguments& arguments) {
  if (!self.is_number()) {
    return MakeError(ErrorCode::kBadData, "round of a value of type {}", self.TypeName());
  }
  ASSIGN_OR_RETURN(const int64_t precision, IntArgument(arguments, 0, "precision", 0));
  ASSIGN_OR_RETURN(const std::string method, TextArgument(arguments, 1, "method", "common"));
  const double number = self.AsDouble();
  if (precision < 0 || precision > 30 ||
      (method != "common" && method != "ceil" && method != "floor")) {
    return MakeError(ErrorCode::kBadData,
                     "round: expected a precision of 0..30 and method common, ceil or floor");
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return Value::Of(std::ceil(number * scale) / scale);
  if (method == "floor") return Value::Of(std::floor(number * scale) / scale);
  // The decimal digits are the exact ones: 2.675 is a little less than it reads.
  const std::string digits = fmt::format("{:.{}f}", number, precision);
  return self.is_float() ? Value::Of(Parse<double>(digits).value_or(number)) : self;
}

Result<Value> Default(Interpreter&, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const bool by_truth, BoolArgument(arguments, 1, "boolean", false));
  if (!self.is_undefined() && !(by_truth && !self.IsTrue())) return self;
  const Value* fallback = arguments.Find(0, "default_value");
  return fallback == nullptr ? Value::Of("") : *fallback;
}

}  // namespace

const BuiltinTable& NumberFilters() {
  static const BuiltinTable table = {
      {"abs", Abs},     {"d", Default}, {"default", Default},
      {"float", Float}, {"int", Int},   {"round", Round},
  };
  return table;
}

}  // namespace llmrun::jinja
