#include "text/grammar/schema_scalars.h"

#include <algorithm>
#include <cmath>

#include "text/grammar/json_parts.h"
#include "text/grammar/number_range.h"

namespace llmrun {

namespace {

// The value of a keyword that is a number of things; nothing where it is absent.
Result<std::optional<uint64_t>> GetCount(const SchemaJson& schema, const char* keyword) {
  if (!schema.contains(keyword)) return std::optional<uint64_t>();
  const SchemaJson& value = schema[keyword];
  if (!value.is_number_unsigned())
    return SchemaError("{}: expected a number of 0 or more", keyword);
  return std::optional<uint64_t>(value.get<uint64_t>());
}

// A bound as the whole number next to it, inside.
Result<std::optional<int64_t>> GetBound(const SchemaJson& schema, const char* keyword, bool lower,
                                        bool exclusive) {
  if (!schema.contains(keyword)) return std::optional<int64_t>();
  const SchemaJson& value = schema[keyword];
  if (!value.is_number()) return SchemaError("{}: expected a number", keyword);
  if (value.is_number_integer() && !value.is_number_unsigned()) {
    if (value.get<int64_t>() < -kMaxJsonInteger) return SchemaError("{}: too small", keyword);
  }
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{kMaxJsonInteger}) {
    return SchemaError("{}: too large", keyword);
  }
  if (value.is_number_integer()) {
    return std::optional<int64_t>(value.get<int64_t>() + (exclusive ? (lower ? 1 : -1) : 0));
  }
  const double number = value.get<double>();
  if (!(std::abs(number) <= 1e15)) return SchemaError("{}: too far from 0", keyword);
  const double whole = lower ? std::ceil(number) : std::floor(number);
  const bool move = exclusive && whole == number;
  return std::optional<int64_t>(static_cast<int64_t>(whole) + (move ? (lower ? 1 : -1) : 0));
}

// The tighter of two bounds, of which the first includes its value; `sign` 1: the greater is.
Result<std::optional<NumberBound>> GetNumberBound(const SchemaJson& schema, const char* inclusive,
                                                  const char* exclusive, int sign) {
  std::optional<NumberBound> bound;
  for (const char* keyword : {inclusive, exclusive}) {
    if (!schema.contains(keyword)) continue;
    if (!schema[keyword].is_number()) return SchemaError("{}: expected a number", keyword);
    const double value = schema[keyword].get<double>();
    if (!(std::abs(value) <= kMaxNumberBound)) return SchemaError("{}: too far from 0", keyword);
    const bool tighter = !bound || sign * value >= sign * bound->value;
    if (tighter) bound = {.value = value, .open = keyword == exclusive};
  }
  return bound;
}

}  // namespace

std::string ShowSchema(const SchemaJson& json) {
  return json.dump(-1, ' ', false, SchemaJson::error_handler_t::replace);
}

Result<std::string> SchemaNumber(const SchemaJson& schema) {
  ASSIGN_OR_RETURN(const auto least, GetNumberBound(schema, "minimum", "exclusiveMinimum", 1));
  ASSIGN_OR_RETURN(const auto most, GetNumberBound(schema, "maximum", "exclusiveMaximum", -1));
  if (!least && !most) return std::string("number");
  const bool at_one = least && most && least->value == most->value;
  if (least && most && (least->value > most->value || (at_one && (least->open || most->open)))) {
    return SchemaError("no number is {} {} and {} {}", least->open ? "above" : "at least",
                       least->value, most->open ? "below" : "at most", most->value);
  }
  Result<std::string> range = NumberRange(least, most);
  if (!range) return SchemaError("a bound of numbers: {}", range.error().message);
  return range;
}

Result<SchemaCounts> GetSchemaCounts(const SchemaJson& schema, const char* least,
                                     const char* most) {
  SchemaCounts counts;
  ASSIGN_OR_RETURN(const std::optional<uint64_t> found, GetCount(schema, least));
  ASSIGN_OR_RETURN(counts.most, GetCount(schema, most));
  counts.least = found.value_or(0);
  if (counts.most && *counts.most < counts.least) {
    return SchemaError("{} {} is below {} {}", most, *counts.most, least, counts.least);
  }
  return counts;
}

Result<std::string> SchemaString(const SchemaJson& schema) {
  const bool bounded = schema.contains("minLength") || schema.contains("maxLength");
  const int ways = bounded + schema.contains("pattern") + schema.contains("format");
  if (ways > 1)
    return SchemaError("of pattern, format and lengths only one is understood at a time");
  if (schema.contains("pattern")) {
    if (!schema["pattern"].is_string()) return SchemaError("pattern: expected a string");
    Result<std::string> body = PatternString(schema["pattern"].get<std::string>());
    if (!body) return SchemaError("{}", body.error().message);
    return body;
  }
  if (schema.contains("format")) {
    const SchemaJson& format = schema["format"];
    const auto body = format.is_string() ? FormatString(format.get<std::string>()) : std::nullopt;
    if (!body) return SchemaError("the format {} is not understood", ShowSchema(format));
    return "(" + *body + ")";
  }
  if (!bounded) return std::string("string");
  ASSIGN_OR_RETURN(const SchemaCounts counts, GetSchemaCounts(schema, "minLength", "maxLength"));
  return fmt::format(R"("\"" char{} "\"")", GbnfRepeat(counts.least, counts.most));
}

Result<std::string> SchemaInteger(const SchemaJson& schema) {
  std::optional<int64_t> least;
  std::optional<int64_t> most;
  for (const bool exclusive : {false, true}) {
    ASSIGN_OR_RETURN(const std::optional<int64_t> low,
                     GetBound(schema, exclusive ? "exclusiveMinimum" : "minimum", true, exclusive));
    ASSIGN_OR_RETURN(
        const std::optional<int64_t> high,
        GetBound(schema, exclusive ? "exclusiveMaximum" : "maximum", false, exclusive));
    if (low) least = std::max(least.value_or(*low), *low);
    if (high) most = std::min(most.value_or(*high), *high);
  }
  if (!least && !most) return std::string("integer");
  const int64_t from = std::max(least.value_or(-kMaxJsonInteger), -kMaxJsonInteger);
  const int64_t to = std::min(most.value_or(kMaxJsonInteger), kMaxJsonInteger);
  if (from > to) return SchemaError("no integer is at least {} and at most {}", from, to);
  return IntegerRange(from, to);
}

}  // namespace llmrun
