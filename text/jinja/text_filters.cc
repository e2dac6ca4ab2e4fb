// Filters that give text.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/json.h"
#include "text/jinja/text_case.h"

namespace llmrun::jinja {
namespace {

template <std::string (*kMapping)(std::string_view)>
Result<Value> Mapped(Interpreter& in, const Value& self, const Arguments&) {
  ASSIGN_OR_RETURN(const std::string text, in.TextOf(self));
  return in.NewText(kMapping(text));
}

Result<Value> StringFilter(Interpreter& in, const Value& self, const Arguments&) {
  if (self.string() != nullptr) return self;
  ASSIGN_OR_RETURN(std::string text, in.TextOf(self));
  return in.NewText(std::move(text));
}

// Words begin behind spaces, hyphens and opening brackets, other than in the method of strings.
std::string TitleWords(std::string_view text) {
  std::string out;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t word = std::min(text.find_first_not_of("- \t\n\r\f\v({[<", begin), text.size());
    const size_t end = std::min(text.find_first_of("- \t\n\r\f\v({[<", word), text.size());
    out += text.substr(begin, word - begin);
    out += Capitalize(text.substr(word, end - word));
    begin = end;
  }
  return out;
}

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Result<Value> Trim(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string text, in.TextOf(self));
  const Value* characters = arguments.Find(0, "chars");
  const std::string* stripped = characters == nullptr ? nullptr : characters->string();
  return in.NewText(std::string(Strip(text, stripped, true, true)));
}

Result<Value> Replace(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(std::string text, in.TextOf(self));
  return FindMethod(Value::Of(""), "replace")(in, Value::Of(std::move(text)), arguments);
}

Result<Value> Format(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string format, in.TextOf(self));
  ASSIGN_OR_RETURN(const Value values, in.NewList(arguments.values, true));
  return FormatPercent(in, format, values);
}

Result<Value> Indent(Interpreter& in, const Value& self, const Arguments& arguments) {
  constexpr int64_t kMaxWidth = 1000;
  ASSIGN_OR_RETURN(const std::string text, in.TextOf(self));
  const Value* width = arguments.Find(0, "width");
  std::string space(4, ' ');
  if (width != nullptr && width->string() != nullptr) {
    space = *width->string();
  } else {
    ASSIGN_OR_RETURN(const int64_t count, IntArgument(arguments, 0, "width", 4));
    space.assign(static_cast<size_t>(std::clamp<int64_t>(count, 0, kMaxWidth)), ' ');
  }
  ASSIGN_OR_RETURN(const bool first, BoolArgument(arguments, 1, "first", false));
  ASSIGN_OR_RETURN(const bool blank, BoolArgument(arguments, 2, "blank", false));
  std::string out = first ? space : "";
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (begin > 0 && (blank || end > begin)) {
      RETURN_IF_ERROR(in.ChargeBytes(space.size()));
      out += space;
    }
    out.append(text, begin, end + 1 - begin);
    begin = end + 1;
  }
  return in.NewText(std::move(out));
}

Result<Value> ToJsonFilter(Interpreter& in, const Value& self, const Arguments& arguments) {
  constexpr int64_t kMaxIndent = 100;
  JsonStyle style;
  ASSIGN_OR_RETURN(style.ensure_ascii, BoolArgument(arguments, 0, "ensure_ascii", false));
  ASSIGN_OR_RETURN(const int64_t indent, IntArgument(arguments, 1, "indent", -1));
  ASSIGN_OR_RETURN(style.sort_keys, BoolArgument(arguments, 3, "sort_keys", false));
  style.indent = static_cast<int>(std::clamp<int64_t>(indent, -1, kMaxIndent));
  if (style.indent >= 0) style.item_separator = ",";
  const Value* separators = arguments.Find(2, "separators");
  if (separators != nullptr && !separators->is_none()) {
    const List* pair = separators->list();
    if (pair == nullptr || pair->items.size() != 2 || pair->items[0].string() == nullptr ||
        pair->items[1].string() == nullptr) {
      return MakeError(ErrorCode::kBadData, "argument 'separators': expected two strings");
    }
    style.item_separator = *pair->items[0].string();
    style.key_separator = *pair->items[1].string();
  }
  ASSIGN_OR_RETURN(std::string text, in.JsonOf(self, style));
  return in.NewText(std::move(text));
}

}  // namespace

const BuiltinTable& TextFilters() {
  static const BuiltinTable table = {
      {"capitalize", Mapped<Capitalize>},
      {"e", Mapped<EscapeHtml>},
      {"escape", Mapped<EscapeHtml>},
      {"format", Format},
      {"indent", Indent},
      {"lower", Mapped<Lower>},
      {"replace", Replace},
      {"safe", StringFilter},
      {"string", StringFilter},
      {"title", Mapped<TitleWords>},
      {"tojson", ToJsonFilter},
      {"trim", Trim},
      {"upper", Mapped<Upper>},
  };
  return table;
}

}  // namespace llmrun::jinja
