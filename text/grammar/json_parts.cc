#include "text/grammar/json_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "text/utf8.h"

namespace llmrun {

namespace {

std::string Digits(size_t count) { return count == 0 ? "" : fmt::format(" [0-9]{{{}}}", count); }

void AddAlternative(const std::string& text, std::string* out) {
  if (!out->empty()) *out += " | ";
  *out += text;
}

// Numbers of as many digits as both have, from `low` to `high`, behind `prefix`.
void AddSameLength(const std::string& prefix, std::string_view low, std::string_view high,
                   std::string* out) {
  if (low.find_first_not_of('0') == std::string_view::npos &&
      high.find_first_not_of('9') == std::string_view::npos) {
    return AddAlternative(prefix + Digits(low.size()), out);
  }
  const auto with = [&](char digit) { return fmt::format("{} \"{}\"", prefix, digit); };
  const std::string_view low_rest = low.substr(1);
  const std::string_view high_rest = high.substr(1);
  if (low[0] == high[0]) return AddSameLength(with(low[0]), low_rest, high_rest, out);
  const std::string nines(low_rest.size(), '9');
  const std::string zeros(low_rest.size(), '0');
  AddSameLength(with(low[0]), low_rest, nines, out);
  if (low[0] + 1 < high[0]) {
    AddAlternative(fmt::format("{} [{}-{}]{}", prefix, static_cast<char>(low[0] + 1),
                               static_cast<char>(high[0] - 1), Digits(low_rest.size())),
                   out);
  }
  AddSameLength(with(high[0]), zeros, high_rest, out);
}

// Of numbers that are not negative.
void AddRange(const std::string& prefix, uint64_t least, uint64_t most, std::string* out) {
  while (least <= most) {
    const std::string low = fmt::format("{}", least);
    std::string high = fmt::format("{}", most);
    if (low.size() < high.size()) high = std::string(low.size(), '9');
    AddSameLength(prefix, low, high, out);
    least = std::stoull(high) + 1;
  }
}

// Of the character at `at` in a text between the quotes of a JSON string, its escape as a whole.
size_t JsonCharacterBytes(std::string_view text, size_t at) {
  if (text[at] != '\\') return Utf8At(text, at).bytes;
  return text.substr(at).starts_with("\\u") ? 6 : 2;
}

// The rest of a name behind a prefix that all `names` share: anything that is none of them.
std::string OtherRests(std::span<const std::string> names, size_t shared) {
  std::string stops;  // for the class of characters that lead away from all of them
  std::string out;
  const bool ends = !names.empty() && names[0].size() == shared;
  if (ends) names = names.subspan(1);
  for (size_t begin = 0; begin < names.size();) {
    const size_t bytes = JsonCharacterBytes(names[begin], shared);
    const std::string next = names[begin].substr(shared, bytes);
    size_t end = begin;
    while (end < names.size() && names[end].compare(shared, bytes, next) == 0) ++end;
    for (const char c : next) {
      if (next[0] == '\\') break;  // the class has no escapes
      if (std::string_view("]^-[").find(c) != std::string_view::npos) stops += '\\';
      stops += c;
    }
    AddAlternative(fmt::format("{} ({})", GbnfLiteral(next),
                               OtherRests(names.subspan(begin, end - begin), shared + bytes)),
                   &out);
    begin = end;
  }
  AddAlternative(fmt::format(R"([^"\\\x00-\x1F\x7F{}] char*)", stops), &out);
  if (!ends) AddAlternative("\"\"", &out);
  return out;
}

}  // namespace

std::string_view JsonRules() {
  return R"(space ::= (" " | "\n" [ \t]{0,20})?
char ::= [^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
string ::= "\"" char* "\""
integral ::= "0" | [1-9] [0-9]{0,17}
integer ::= "-"? integral
number ::= "-"? integral ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?
boolean ::= "true" | "false"
null ::= "null"
array ::= "[" space (value space ("," space value space)*)? "]"
object ::= "{" space (pair ("," space pair)*)? "}"
pair ::= string space ":" space value space
value ::= object | array | string | number | boolean | null
)";
}

std::string GbnfLiteral(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        out += c;
    }
  }
  return out + "\"";
}

std::string GbnfRepeat(uint64_t least, std::optional<uint64_t> most) {
  if (!most) return least == 0 ? "*" : fmt::format("{{{},}}", least);
  return fmt::format("{{{},{}}}", least, *most);
}

std::string IntegerRange(int64_t least, int64_t most) {
  std::string out;
  if (least < 0) {
    AddRange("\"-\"", static_cast<uint64_t>(-std::min<int64_t>(most, -1)),
             static_cast<uint64_t>(-least), &out);
  }
  if (most >= 0) {
    AddRange("", static_cast<uint64_t>(std::max<int64_t>(least, 0)), static_cast<uint64_t>(most),
             &out);
  }
  return "(" + out + ")";
}

std::optional<std::string> FormatString(std::string_view format) {
  // Days that a month does not have are let through, as a grammar of regular length would be huge.
  constexpr std::string_view kDate =
      R"([0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01]))";
  constexpr std::string_view kTime =
      R"(([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{3})? )"
      R"(("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]))";
  constexpr std::string_view kUuid =
      R"([0-9a-fA-F]{8} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{4} "-" [0-9a-fA-F]{4} "-" )"
      R"([0-9a-fA-F]{12})";
  const auto quoted = [](const std::string& content) {
    return fmt::format(R"("\"" {} "\"")", content);
  };
  if (format == "date") return quoted(std::string(kDate));
  if (format == "time") return quoted(std::string(kTime));
  if (format == "date-time") return quoted(fmt::format("{} \"T\" {}", kDate, kTime));
  if (format == "uuid") return quoted(std::string(kUuid));
  return std::nullopt;
}

std::string OtherNames(std::span<const std::string> names) {
  if (names.empty()) return "string";
  return fmt::format(R"("\"" ({}) "\"")", OtherRests(names, 0));
}

}  // namespace llmrun
