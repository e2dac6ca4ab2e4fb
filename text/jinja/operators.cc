// The binary operators of templates, with the arithmetic of Python but for whole numbers beyond 64
// bits, which are refused.
#include <fmt/format.h>

#include <cmath>

#include "text/jinja/builtins.h"
#include "text/jinja/interpreter.h"

namespace llmrun::jinja {
namespace {

tl::unexpected<Error> TooLarge() {
  return MakeError(ErrorCode::kBadData, "a whole number beyond 64 bits");
}

Result<Value> WholePower(int64_t base, int64_t exponent) {
  int64_t power = 1;
  int64_t factor = base;
  for (int64_t left = exponent; left > 0; left >>= 1) {
    if ((left & 1) != 0 && __builtin_mul_overflow(power, factor, &power)) return TooLarge();
    if (left > 1 && __builtin_mul_overflow(factor, factor, &factor)) return TooLarge();
  }
  return Value::Of(power);
}

Result<Value> WholeNumbers(const std::string& op, int64_t a, int64_t b) {
  int64_t result = 0;
  if (op == "+") {
    if (__builtin_add_overflow(a, b, &result)) return TooLarge();
    return Value::Of(result);
  }
  if (op == "-") {
    if (__builtin_sub_overflow(a, b, &result)) return TooLarge();
    return Value::Of(result);
  }
  if (op == "*") {
    if (__builtin_mul_overflow(a, b, &result)) return TooLarge();
    return Value::Of(result);
  }
  if (op == "**") {
    if (b >= 0) return WholePower(a, b);
    return Value::Of(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  if (b == 0) return MakeError(ErrorCode::kBadData, "division by zero");
  if (op == "/") return Value::Of(static_cast<double>(a) / static_cast<double>(b));
  if (b == -1) return op == "%" ? Value::Of(int64_t{0}) : WholeNumbers("-", 0, a);
  const int64_t rest = a % b;
  const bool signs_differ = rest != 0 && (rest < 0) != (b < 0);
  if (op == "%") return Value::Of(signs_differ ? rest + b : rest);
  return Value::Of(a / b - (signs_differ ? 1 : 0));
}

Result<Value> FloatNumbers(const std::string& op, double a, double b) {
  if (op == "+") return Value::Of(a + b);
  if (op == "-") return Value::Of(a - b);
  if (op == "*") return Value::Of(a * b);
  if (op == "**") return Value::Of(std::pow(a, b));
  if (b == 0) return MakeError(ErrorCode::kBadData, "division by zero");
  if (op == "/") return Value::Of(a / b);
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (op == "%") return Value::Of(rest);
  return Value::Of(std::floor((a - rest) / b + 0.5));
}

Result<Value> Repeat(Interpreter& in, const Value& value, int64_t times) {
  const size_t count = times > 0 ? static_cast<size_t>(times) : 0;
  uint64_t size = value.string() != nullptr ? value.string()->size() : value.list()->items.size();
  if (__builtin_mul_overflow(size, count, &size)) size = UINT64_MAX;
  RETURN_IF_ERROR(in.ChargeBytes(size));  // before it is made
  if (size == 0) {
    return value.string() != nullptr ? in.NewText("") : in.NewList({}, value.list()->is_tuple);
  }
  if (const std::string* text = value.string()) {
    std::string repeated;
    for (size_t i = 0; i < count; ++i) repeated += *text;
    return in.NewText(std::move(repeated));
  }
  std::vector<Value> repeated;
  for (size_t i = 0; i < count; ++i) {
    repeated.insert(repeated.end(), value.list()->items.begin(), value.list()->items.end());
  }
  return in.NewList(std::move(repeated), value.list()->is_tuple);
}

bool IsWhole(const Value& value) { return value.is_int() || value.is_bool(); }
bool IsSequence(const Value& value) { return value.string() != nullptr || value.list() != nullptr; }

}  // namespace

Result<Value> Interpreter::Binary(const std::string& op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return FloatNumbers(op, a.AsDouble(), b.AsDouble());
    return WholeNumbers(op, a.AsInt(), b.AsInt());
  }
  if (op == "+" && a.string() != nullptr && b.string() != nullptr) {
    return NewText(*a.string() + *b.string());
  }
  if (op == "+" && a.list() != nullptr && b.list() != nullptr &&
      a.list()->is_tuple == b.list()->is_tuple) {
    std::vector<Value> items = a.list()->items;
    items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
    return NewList(std::move(items), a.list()->is_tuple);
  }
  if (op == "*" && IsSequence(a) && IsWhole(b)) return Repeat(*this, a, b.AsInt());
  if (op == "*" && IsSequence(b) && IsWhole(a)) return Repeat(*this, b, a.AsInt());
  if (op == "%" && a.string() != nullptr) return FormatPercent(*this, *a.string(), b);
  if (a.is_undefined()) return MakeError(ErrorCode::kBadData, "{}", a.What());
  if (b.is_undefined()) return MakeError(ErrorCode::kBadData, "{}", b.What());
  return MakeError(ErrorCode::kBadData, "cannot compute '{}' of values of type {} and {}", op,
                   a.TypeName(), b.TypeName());
}

}  // namespace llmrun::jinja
