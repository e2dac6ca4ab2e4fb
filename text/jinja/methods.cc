// Methods of strings, dictionaries and lists: those of Python that change nothing.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/text_case.h"
#include "text/utf8.h"

namespace llmrun::jinja {
namespace {

template <std::string (*kMapping)(std::string_view)>
Result<Value> MappedText(Interpreter& in, const Value& self, const Arguments&) {
  return in.NewText(kMapping(*self.string()));
}

template <bool (*kHolds)(std::string_view)>
Result<Value> TextIs(Interpreter&, const Value& self, const Arguments&) {
  return Value::Of(kHolds(*self.string()));
}

bool AllDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}
bool AllLetters(std::string_view text) {
  return !text.empty() && std::ranges::all_of(Characters(text), IsLetter);
}
bool AllSpace(std::string_view text) {
  return !text.empty() && Strip(text, nullptr, true, false).empty();
}

template <bool kLeft, bool kRight>
Result<Value> StripMethod(Interpreter& in, const Value& self, const Arguments& arguments) {
  const Value* characters = arguments.Find(0, "chars");
  const std::string* stripped = characters == nullptr ? nullptr : characters->string();
  return in.NewText(std::string(Strip(*self.string(), stripped, kLeft, kRight)));
}

// At the beginning or end: one text, or any of a tuple.
template <bool kAtEnd>
Result<Value> HasAffix(Interpreter&, const Value& self, const Arguments& arguments) {
  const Value* wanted = arguments.Find(0, "");
  const std::string& text = *self.string();
  const auto holds = [&](const Value& affix) {
    const std::string* part = affix.string();
    return part != nullptr && (kAtEnd ? text.ends_with(*part) : text.starts_with(*part));
  };
  if (wanted != nullptr && wanted->string() != nullptr) return Value::Of(holds(*wanted));
  if (wanted != nullptr && wanted->list() != nullptr) {
    return Value::Of(std::ranges::any_of(wanted->list()->items, holds));
  }
  return MakeError(ErrorCode::kBadData, "{}: expected a string or a tuple of strings",
                   kAtEnd ? "endswith" : "startswith");
}

template <bool kAtEnd>
Result<Value> RemoveAffix(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string affix, TextArgument(arguments, 0, "", ""));
  std::string_view text = *self.string();
  if (kAtEnd && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!kAtEnd && text.starts_with(affix)) text.remove_prefix(affix.size());
  return in.NewText(std::string(text));
}

Result<Value> ReplaceMethod(Interpreter& in, const Value& self, const Arguments& arguments) {
  const std::string& text = *self.string();
  const Value* old_value = arguments.Find(0, "old");
  const Value* new_value = arguments.Find(1, "new");
  if (old_value == nullptr || new_value == nullptr) {
    return MakeError(ErrorCode::kBadData, "replace: expected the old and the new text");
  }
  ASSIGN_OR_RETURN(const std::string old_text, in.TextOf(*old_value));
  ASSIGN_OR_RETURN(const std::string new_text, in.TextOf(*new_value));
  ASSIGN_OR_RETURN(int64_t left, IntArgument(arguments, 2, "count", -1));
  RETURN_IF_ERROR(in.Charge(text.size() / 8));
  std::string out;
  size_t at = 0;
  while (left != 0) {
    const size_t found = text.find(old_text, at);
    if (found == text.npos) break;
    RETURN_IF_ERROR(in.ChargeBytes(1 + new_text.size()));
    out.append(text, at, found - at);
    out += new_text;
    at = found + old_text.size();
    --left;
    if (!old_text.empty()) continue;
    if (found == text.size()) break;  // between and around all characters
    const size_t bytes = Utf8At(text, at).bytes;
    out.append(text, at, bytes);
    at += bytes;
  }
  if (at < text.size()) out.append(text, at);
  return in.NewText(std::move(out));
}

// Runs of characters between white space, at most `left` cuts.
std::vector<std::string_view> SplitSpace(std::string_view text, int64_t left) {
  std::vector<std::string_view> parts;
  for (text = Strip(text, nullptr, true, false); !text.empty();
       text = Strip(text, nullptr, true, false)) {
    if (left-- == 0) {
      parts.push_back(Strip(text, nullptr, false, true));
      break;
    }
    size_t end = 0;
    for (; end < text.size(); ++end) {
      if (Strip(text.substr(end, 4), nullptr, true, false).size() <
          std::min<size_t>(text.size() - end, 4)) {
        break;
      }
    }
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

template <bool kFromRight>
Result<Value> Split(Interpreter& in, const Value& self, const Arguments& arguments) {
  std::string_view text = *self.string();
  const Value* separator = arguments.Find(0, "sep");
  ASSIGN_OR_RETURN(int64_t left, IntArgument(arguments, 1, "maxsplit", -1));
  RETURN_IF_ERROR(in.Charge(text.size() / 4));
  std::vector<std::string_view> parts;
  if (separator == nullptr || separator->is_none()) {
    parts = SplitSpace(text, kFromRight ? -1 : left);
  } else {
    ASSIGN_OR_RETURN(const std::string between, TextArgument(arguments, 0, "sep", ""));
    if (between.empty()) return MakeError(ErrorCode::kBadData, "split: the separator is empty");
    while (left-- != 0) {
      const size_t found = kFromRight ? text.rfind(between) : text.find(between);
      if (found == text.npos) break;
      const size_t after = found + between.size();
      parts.push_back(kFromRight ? text.substr(after) : text.substr(0, found));
      text = kFromRight ? text.substr(0, found) : text.substr(after);
    }
    parts.push_back(text);
    if (kFromRight) std::ranges::reverse(parts);
  }
  std::vector<Value> items;
  for (const std::string_view part : parts) {
    ASSIGN_OR_RETURN(Value item, in.NewText(std::string(part)));
    items.push_back(std::move(item));
  }
  return in.NewList(std::move(items));
}

Result<Value> SplitLines(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const bool keep_ends, BoolArgument(arguments, 0, "keepends", false));
  const std::string& text = *self.string();
  std::vector<Value> items;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const size_t after = std::min(end + 1, text.size());
    ASSIGN_OR_RETURN(Value item, in.NewText(text.substr(begin, (keep_ends ? after : end) - begin)));
    items.push_back(std::move(item));
    begin = after;
  }
  return in.NewList(std::move(items));
}

Result<Value> JoinMethod(Interpreter& in, const Value& self, const Arguments& arguments) {
  const Value* items = arguments.Find(0, "");
  if (items == nullptr) return MakeError(ErrorCode::kBadData, "join: expected a list");
  return FindFilter("join")(in, *items, {{self}, {}});
}

Result<Value> FindMethodOfText(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string part, TextArgument(arguments, 0, "", ""));
  RETURN_IF_ERROR(in.Charge(self.string()->size() / 8));
  const size_t found = self.string()->find(part);
  if (found == std::string::npos) return Value::Of(int64_t{-1});
  return Value::Of(Characters(std::string_view(*self.string()).substr(0, found)).size());
}

Result<Value> CountInText(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string part, TextArgument(arguments, 0, "", ""));
  RETURN_IF_ERROR(in.Charge(self.string()->size() / 8));
  if (part.empty()) return Value::Of(Characters(*self.string()).size() + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = self.string()->find(part, at)) != std::string::npos;) {
    ++count;
    at += part.size();
  }
  return Value::Of(count);
}

// "{} {0} {name}", without format specifications.
Result<Value> FormatMethod(Interpreter& in, const Value& self, const Arguments& arguments) {
  const std::string& format = *self.string();
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (i + 1 < format.size() && format[i + 1] == c) {
      out += c;
      ++i;
      continue;
    }
    const size_t end = c == '{' ? format.find('}', i) : format.npos;
    if (end == format.npos) return MakeError(ErrorCode::kBadData, "format: a lone '{}'", c);
    const std::string field = format.substr(i + 1, end - i - 1);
    const bool is_index = AllDigits(field) && field.size() < 6;
    const size_t index = is_index ? std::stoul(field) : field.empty() ? next++ : format.size();
    const Value* value = arguments.Find(is_index || field.empty() ? index : SIZE_MAX, field);
    if (value == nullptr) {
      return MakeError(ErrorCode::kBadData, "format: there is no value for '{{{}}}'", field);
    }
    ASSIGN_OR_RETURN(const std::string text, in.TextOf(*value));
    out += text;
    i = end;
  }
  return in.NewText(std::move(out));
}

Result<Value> DictItems(Interpreter& in, const Value& self, const Arguments&) {
  return FindFilter("items")(in, self, {});
}
Result<Value> DictKeys(Interpreter& in, const Value& self, const Arguments&) {
  return FindFilter("list")(in, self, {});
}
Result<Value> DictValues(Interpreter& in, const Value& self, const Arguments&) {
  std::vector<Value> values;
  for (const auto& [key, value] : self.dict()->items) values.push_back(value);
  return in.NewList(std::move(values));
}

Result<Value> DictGet(Interpreter& in, const Value& self, const Arguments& arguments) {
  const Value* key = arguments.Find(0, "");
  if (key == nullptr) return MakeError(ErrorCode::kBadData, "get: expected a key");
  RETURN_IF_ERROR(in.Charge(self.dict()->items.size() / 8));
  if (const Value* found = self.dict()->Find(*key)) return *found;
  const Value* fallback = arguments.Find(1, "");
  return fallback == nullptr ? Value::OfNone() : *fallback;
}

Result<Value> CountInList(Interpreter& in, const Value& self, const Arguments& arguments) {
  const Value* wanted = arguments.Find(0, "");
  if (wanted == nullptr) return MakeError(ErrorCode::kBadData, "count: expected a value");
  RETURN_IF_ERROR(in.Charge(self.extent().weight / 8));
  return Value::Of(static_cast<size_t>(std::ranges::count_if(
      self.list()->items, [&](const Value& item) { return Equal(item, *wanted); })));
}

Result<Value> IndexInList(Interpreter& in, const Value& self, const Arguments& arguments) {
  const Value* wanted = arguments.Find(0, "");
  if (wanted == nullptr) return MakeError(ErrorCode::kBadData, "index: expected a value");
  RETURN_IF_ERROR(in.Charge(self.extent().weight / 8));
  const std::vector<Value>& items = self.list()->items;
  const auto found =
      std::ranges::find_if(items, [&](const Value& item) { return Equal(item, *wanted); });
  if (found == items.end()) return MakeError(ErrorCode::kBadData, "index: it is not in the list");
  return Value::Of(static_cast<size_t>(found - items.begin()));
}

}  // namespace

const BuiltinTable& TextMethods() {
  static const BuiltinTable table = {
      {"capitalize", MappedText<Capitalize>},
      {"count", CountInText},
      {"endswith", HasAffix<true>},
      {"find", FindMethodOfText},
      {"format", FormatMethod},
      {"isalpha", TextIs<AllLetters>},
      {"isdigit", TextIs<AllDigits>},
      {"islower", TextIs<IsLower>},
      {"isspace", TextIs<AllSpace>},
      {"isupper", TextIs<IsUpper>},
      {"join", JoinMethod},
      {"lower", MappedText<Lower>},
      {"lstrip", StripMethod<true, false>},
      {"removeprefix", RemoveAffix<false>},
      {"removesuffix", RemoveAffix<true>},
      {"replace", ReplaceMethod},
      {"rsplit", Split<true>},
      {"rstrip", StripMethod<false, true>},
      {"split", Split<false>},
      {"splitlines", SplitLines},
      {"startswith", HasAffix<false>},
      {"strip", StripMethod<true, true>},
      {"title", MappedText<Title>},
      {"upper", MappedText<Upper>},
  };
  return table;
}

const BuiltinTable& DictMethods() {
  static const BuiltinTable table = {
      {"get", DictGet}, {"items", DictItems}, {"keys", DictKeys}, {"values", DictValues}};
  return table;
}

const BuiltinTable& ListMethods() {
  static const BuiltinTable table = {{"count", CountInList}, {"index", IndexInList}};
  return table;
}

}  // namespace llmrun::jinja
