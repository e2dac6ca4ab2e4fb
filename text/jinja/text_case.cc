#include "text/jinja/text_case.h"

#include <utf8proc.h>

#include <cstddef>
#include <cstdint>

#include "text/utf8.h"

namespace llmrun::jinja {
namespace {

using CaseMapping = utf8proc_int32_t (*)(utf8proc_int32_t);

std::string MapCase(std::string_view text, CaseMapping mapping) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Utf8Unit unit = Utf8At(text, at);
    if (unit.codepoint < 0) {
      out += text[at];
    } else {
      AppendUtf8(mapping(unit.codepoint), &out);
    }
    at += unit.bytes;
  }
  return out;
}

}  // namespace

std::string Upper(std::string_view text) { return MapCase(text, utf8proc_toupper); }
std::string Lower(std::string_view text) { return MapCase(text, utf8proc_tolower); }

std::string Capitalize(std::string_view text) {
  if (text.empty()) return "";
  const size_t first = Utf8At(text, 0).bytes;
  return Upper(text.substr(0, first)) + Lower(text.substr(first));
}

std::string Title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = Utf8At(text, at).bytes;
    const std::string_view character = text.substr(at, bytes);
    out += in_word ? Lower(character) : Upper(character);
    in_word = IsLetter(character);
    at += bytes;
  }
  return out;
}

bool IsUpper(std::string_view text) { return Upper(text) == text && Lower(text) != text; }
bool IsLower(std::string_view text) { return Lower(text) == text && Upper(text) != text; }

bool IsLetter(std::string_view character) {
  const int32_t code = Utf8At(character, 0).codepoint;
  if (code < 0) return false;
  const utf8proc_category_t category = utf8proc_category(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

}  // namespace llmrun::jinja
