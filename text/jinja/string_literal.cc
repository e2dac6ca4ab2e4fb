#include "text/jinja/string_literal.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "text/utf8.h"

namespace llmrun::jinja {
namespace {

constexpr std::string_view kNames = "\\'\"abfnrtv";
constexpr std::string_view kMeant = "\\'\"\a\b\f\n\r\t\v";

// Exactly so many digits at the beginning of `text`.
std::optional<uint32_t> Digits(std::string_view text, size_t count, int base) {
  if (text.size() < count) return std::nullopt;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + count, value, base);
  if (error != std::errc() || end != text.data() + count) return std::nullopt;
  return value;
}

bool IsCharacter(uint32_t code) { return code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF); }

}  // namespace

std::optional<std::string> ReplaceEscapes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i++];
      continue;
    }
    const char kind = text[i + 1];
    const std::string_view rest = text.substr(i + 2);
    if (const size_t name = kNames.find(kind); name != kNames.npos) {
      out += kMeant[name];
      i += 2;
    } else if (kind == '\n') {
      i += 2;
    } else if (kind == 'x' || kind == 'u' || kind == 'U') {
      const size_t count = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
      const std::optional<uint32_t> code = Digits(rest, count, 16);
      if (!code || !IsCharacter(*code)) return std::nullopt;
      AppendUtf8(static_cast<int32_t>(*code), &out);
      i += 2 + count;
    } else if (kind >= '0' && kind <= '7') {
      size_t count = 1;
      while (count < 3 && i + 1 + count < text.size() && text[i + 1 + count] >= '0' &&
             text[i + 1 + count] <= '7') {
        ++count;
      }
      AppendUtf8(static_cast<int32_t>(*Digits(text.substr(i + 1), count, 8)), &out);
      i += 1 + count;
    } else {
      out += text[i];
      out += kind;
      i += 2;
    }
  }
  return out;
}

}  // namespace llmrun::jinja
