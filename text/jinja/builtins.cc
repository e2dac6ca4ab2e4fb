#include "text/jinja/builtins.h"

#include <fmt/format.h>

#include "text/utf8.h"

namespace llmrun::jinja {
namespace {

tl::unexpected<Error> WrongArgument(std::string_view name, std::string_view wanted,
                                    const Value& found) {
  return MakeError(ErrorCode::kBadData, "argument '{}': expected {}, found a value of type {}",
                   name, wanted, found.TypeName());
}

// White space of Unicode, as str.isspace() of Python tells it.
bool IsSpace(int32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool IsStripped(std::string_view character, const std::string* characters) {
  if (characters != nullptr) return characters->find(character) != characters->npos;
  return IsSpace(Utf8At(character, 0).codepoint);
}

// Where the last character begins.
size_t LastCharacter(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) {
    --at;
  }
  return Utf8At(text, at).bytes == text.size() - at ? at : text.size() - 1;
}

}  // namespace

Builtin FindBuiltin(const BuiltinTable& table, std::string_view name) {
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

Builtin FindFilter(std::string_view name) {
  for (const auto* table :
       {&TextFilters(), &NumberFilters(), &SequenceFilters(), &ChoiceFilters()}) {
    if (const Builtin found = FindBuiltin(*table, name)) return found;
  }
  return nullptr;
}

Builtin FindMethod(const Value& self, std::string_view name) {
  if (self.string() != nullptr) return FindBuiltin(TextMethods(), name);
  if (self.dict() != nullptr) return FindBuiltin(DictMethods(), name);
  if (self.list() != nullptr) return FindBuiltin(ListMethods(), name);
  if (self.loop() != nullptr) return FindBuiltin(LoopMethods(), name);
  return nullptr;
}

Result<int64_t> IntArgument(const Arguments& arguments, size_t index, std::string_view name,
                            int64_t fallback) {
  const Value* value = arguments.Find(index, name);
  if (value == nullptr || value->is_none()) return fallback;
  if (!value->is_int() && !value->is_bool()) return WrongArgument(name, "a whole number", *value);
  return value->AsInt();
}

Result<bool> BoolArgument(const Arguments& arguments, size_t index, std::string_view name,
                          bool fallback) {
  const Value* value = arguments.Find(index, name);
  return value == nullptr ? fallback : value->IsTrue();
}

Result<std::string> TextArgument(const Arguments& arguments, size_t index, std::string_view name,
                                 std::string_view fallback) {
  const Value* value = arguments.Find(index, name);
  if (value == nullptr) return std::string(fallback);
  if (value->string() == nullptr) return WrongArgument(name, "a string", *value);
  return *value->string();
}

std::string_view Strip(std::string_view text, const std::string* characters, bool left,
                       bool right) {
  while (left && !text.empty()) {
    const size_t bytes = Utf8At(text, 0).bytes;
    if (!IsStripped(text.substr(0, bytes), characters)) break;
    text.remove_prefix(bytes);
  }
  while (right && !text.empty()) {
    const size_t at = LastCharacter(text);
    if (!IsStripped(text.substr(at), characters)) break;
    text.remove_suffix(text.size() - at);
  }
  return text;
}

}  // namespace llmrun::jinja
