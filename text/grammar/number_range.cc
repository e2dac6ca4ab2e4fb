#include "text/grammar/number_range.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

#include "text/grammar/json_parts.h"

namespace llmrun {

namespace {

constexpr std::string_view kFraction = R"(("." [0-9]{1,16})?)";
constexpr std::string_view kMoreDigits = "[0-9]{0,15}";

// A number that is not negative, in decimal.
struct Magnitude {
  int64_t whole = 0;
  std::string fraction = {};  // digits behind the point, the last of them not 0
  bool open = false;
};

// Of the shortest decimal that means this double.
Result<Magnitude> MagnitudeOf(const NumberBound& bound) {
  const double value = std::abs(bound.value);
  std::string text = fmt::format("{}", value);
  const size_t e = text.find('e');
  int exponent = 0;
  if (e != text.npos) {
    const size_t digits = text[e + 1] == '+' ? e + 2 : e + 1;
    std::from_chars(text.data() + digits, text.data() + text.size(), exponent);
    text.resize(e);
  }
  size_t point = std::min(text.find('.'), text.size());
  if (point < text.size()) text.erase(point, 1);
  if (exponent > 0) text.resize(std::max(text.size(), point + static_cast<size_t>(exponent)), '0');
  if (exponent < 0) text.insert(0, static_cast<size_t>(-exponent), '0');
  if (exponent > 0) point += static_cast<size_t>(exponent);
  Magnitude out = {.open = bound.open};
  std::from_chars(text.data(), text.data() + point, out.whole);
  out.fraction = text.substr(point);
  out.fraction.erase(out.fraction.find_last_not_of('0') + 1);
  if (out.fraction.size() > size_t{kMaxBoundDigits}) {
    return MakeError(ErrorCode::kUsage, "{} has more than {} digits behind its point", bound.value,
                     kMaxBoundDigits);
  }
  return out;
}

void AddChoice(const std::string& choice, std::string* out) {
  if (!out->empty()) *out += " | ";
  *out += choice;
}

// Digits behind a point.
struct Fractions {
  std::string some = {};  // an expression for one digit or more; empty: there are none
  bool none = false;      // no digit at all will do
};

// Another digit in front of these.
void AddDigit(char digit, const Fractions& rest, std::string* out) {
  const std::string first = fmt::format("\"{}\"", digit);
  if (!rest.some.empty()) {
    AddChoice(fmt::format("{} ({}){}", first, rest.some, rest.none ? "?" : ""), out);
  } else if (rest.none) {
    AddChoice(first, out);
  }
}

// Recurses once for each digit of the bounds.
Fractions FractionsBetween(std::string_view low, bool low_open,
                           std::optional<std::string_view> high, bool high_open) {
  if (low.empty() && !high) {
    if (!low_open) return {fmt::format("[0-9] {}", kMoreDigits), true};
    return {fmt::format("\"0\"{{0,15}} [1-9] {}", kMoreDigits), false};
  }
  if (high && high->empty()) {
    if (!low.empty() || low_open || high_open) return {};
    return {"\"0\"{1,16}", true};
  }
  Fractions out = {.none = low.empty() && !low_open};
  const char first = low.empty() ? '0' : low[0];
  const std::string_view low_rest = low.empty() ? low : low.substr(1);
  if (!high) {
    AddDigit(first, FractionsBetween(low_rest, low_open, std::nullopt, false), &out.some);
  } else if (first == (*high)[0]) {
    AddDigit(first, FractionsBetween(low_rest, low_open, high->substr(1), high_open), &out.some);
    return out;
  } else if (first < (*high)[0]) {
    AddDigit(first, FractionsBetween(low_rest, low_open, std::nullopt, false), &out.some);
    AddDigit((*high)[0], FractionsBetween("", false, high->substr(1), high_open), &out.some);
  }
  const char last = high ? static_cast<char>((*high)[0] - 1) : '9';
  if (first < last) {
    AddChoice(fmt::format("[{}-{}] {}", static_cast<char>(first + 1), last, kMoreDigits),
              &out.some);
  }
  return out;
}

void AddWhole(std::string_view sign, int64_t whole, const Fractions& fractions, std::string* out) {
  const std::string number = fmt::format("{}\"{}\"", sign, whole);
  if (!fractions.some.empty()) {
    AddChoice(fmt::format("{} (\".\" ({})){}", number, fractions.some, fractions.none ? "?" : ""),
              out);
  } else if (fractions.none) {
    AddChoice(number, out);
  }
}

void AddMagnitudes(std::string_view sign, const Magnitude& low,
                   const std::optional<Magnitude>& high, std::string* out) {
  if (high && high->whole == low.whole) {
    AddWhole(sign, low.whole, FractionsBetween(low.fraction, low.open, high->fraction, high->open),
             out);
    return;
  }
  AddWhole(sign, low.whole, FractionsBetween(low.fraction, low.open, std::nullopt, false), out);
  const int64_t last = high ? high->whole - 1 : kMaxJsonInteger;
  if (low.whole < last) {
    AddChoice(fmt::format("{}{} {}", sign, IntegerRange(low.whole + 1, last), kFraction), out);
  }
  if (high)
    AddWhole(sign, high->whole, FractionsBetween("", false, high->fraction, high->open), out);
}

}  // namespace

Result<std::string> NumberRange(const std::optional<NumberBound>& least,
                                const std::optional<NumberBound>& most) {
  std::optional<Magnitude> low;
  std::optional<Magnitude> high;
  if (least) {
    ASSIGN_OR_RETURN(low, MagnitudeOf(*least));
  }
  if (most) {
    ASSIGN_OR_RETURN(high, MagnitudeOf(*most));
  }
  const Magnitude above_zero = {.open = true};
  std::string out;
  const bool some_negative = !least || least->value < 0;
  const bool all_negative = most && (most->value < 0 || (most->value == 0 && most->open));
  if (some_negative) {
    const bool to_zero = !most || most->value >= 0;
    AddMagnitudes("\"-\" ", to_zero ? above_zero : *high, low, &out);
  }
  if (!all_negative) AddMagnitudes("", some_negative ? Magnitude() : *low, high, &out);
  return "(" + out + ")";
}

}  // namespace llmrun
