#include "text/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "text/jinja/string_literal.h"

namespace llmrun::jinja {
namespace {

constexpr std::string_view kSpace = " \t\n\r\f\v";
// The longer ones first.
constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/",
                                           "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

// Line breaks as \n, and without one at the end.
std::string Normalize(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> Run() {
    while (at_ < source_.size()) RETURN_IF_ERROR(TextAndTag());
    Add(TokenKind::kEndOfSource, "", at_);
    return std::move(tokens_);
  }

 private:
  // Text up to the next tag, and the tag.
  Status TextAndTag() {
    const size_t begin = at_;
    size_t tag = begin;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == source_.npos || tag + 1 == source_.size()) {
        AddText(source_.substr(begin), begin);
        at_ = source_.size();
        return {};
      }
      const char next = source_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++tag;
    }
    const char kind = source_[tag + 1];
    at_ = tag + 2;
    const char sign = at_ < source_.size() ? source_[at_] : '\0';
    if (sign == '-' || sign == '+') ++at_;
    AddText(BeforeTag(source_.substr(begin, tag - begin), sign, kind), begin);
    if (kind == '#') return Comment(tag);
    if (kind == '{') return Tag(tag, TokenKind::kPrint, TokenKind::kPrintEnd, "}}");
    if (const std::optional<size_t> raw = AfterRawTag()) return Raw(tag, *raw);
    return Tag(tag, TokenKind::kBlock, TokenKind::kBlockEnd, "%}");
  }

  // What is left of the text before a tag.
  std::string_view BeforeTag(std::string_view text, char sign, char kind) const {
    if (sign == '-') return text.substr(0, text.find_last_not_of(kSpace) + 1);
    if (sign == '+' || kind == '{') return text;
    const size_t line = text.rfind('\n') + 1;  // 0 when there is none
    if (line == 0 && !line_begins_) return text;
    return text.find_first_not_of(kSpace, line) == text.npos ? text.substr(0, line) : text;
  }

  // Behind the end of a tag: white space with "-", the line break with `trim`.
  void EndTag(size_t end, char sign, bool trim) {
    at_ = end;
    if (sign == '-') {
      at_ = std::min(source_.find_first_not_of(kSpace, at_), source_.size());
    } else if (trim && sign != '+' && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
    line_begins_ = source_[at_ - 1] == '\n';
  }

  Status Comment(size_t tag) {
    const size_t end = source_.find("#}", at_);
    if (end == source_.npos) return Fail(tag, "this comment has no end; expected '#}'");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    EndTag(end + 2, sign, true);
    return {};
  }

  // The end of the tag when at_ stands in {% raw %}.
  std::optional<size_t> AfterRawTag() const {
    size_t at = source_.find_first_not_of(kSpace, at_);
    if (at == source_.npos || source_.substr(at, 3) != "raw") return std::nullopt;
    at = source_.find_first_not_of(kSpace, at + 3);
    if (at == source_.npos) return std::nullopt;
    if (source_.substr(at, 2) == "%}") return at + 2;
    return source_.substr(at, 3) == "-%}" ? std::optional(at + 3) : std::nullopt;
  }

  Status Raw(size_t tag, size_t after) {
    EndTag(after, source_[after - 3], false);
    const size_t begin = at_;
    for (size_t end = begin; (end = source_.find("{%", end)) != source_.npos; end += 2) {
      size_t word = end + 2;
      const char sign = word < source_.size() ? source_[word] : '\0';
      if (sign == '-' || sign == '+') ++word;
      word = source_.find_first_not_of(kSpace, word);
      if (word == source_.npos || source_.substr(word, 6) != "endraw") continue;
      size_t close = source_.find_first_not_of(kSpace, word + 6);
      if (close == source_.npos) continue;
      const char close_sign = source_[close];
      if (close_sign == '-' || close_sign == '+') ++close;
      if (source_.substr(close, 2) != "%}") continue;
      AddText(BeforeTag(source_.substr(begin, end - begin), sign, '%'), begin);
      EndTag(close + 2, close_sign, true);
      return {};
    }
    return Fail(tag, "this 'raw' has no end; expected '{% endraw %}'");
  }

  Status Tag(size_t tag, TokenKind begin, TokenKind end, std::string_view closing) {
    Add(begin, "", tag);
    std::string open;  // the brackets that are not closed yet
    while (true) {
      at_ = source_.find_first_not_of(kSpace, at_);
      if (at_ == source_.npos) {
        return Fail(tag, fmt::format("this tag has no end; expected '{}'", closing));
      }
      if (open.empty()) {
        const char sign = source_[at_];
        const size_t close = sign == '-' || (sign == '+' && closing == "%}") ? at_ + 1 : at_;
        if (source_.substr(close, 2) == closing) {
          Add(end, "", at_);
          EndTag(close + 2, sign, end == TokenKind::kBlockEnd);
          return {};
        }
      }
      RETURN_IF_ERROR(TagToken(&open));
    }
  }

  Status TagToken(std::string* open) {
    const char c = source_[at_];
    if (IsNameStart(c)) {
      size_t end = at_;
      while (end < source_.size() && IsNamePart(source_[end])) ++end;
      Add(TokenKind::kName, std::string(source_.substr(at_, end - at_)), at_);
      at_ = end;
      return {};
    }
    if (IsDigit(c)) return Number();
    if (c == '"' || c == '\'') return Quoted();
    for (const std::string_view op : kOperators) {
      if (source_.substr(at_, op.size()) != op) continue;
      RETURN_IF_ERROR(Balance(op[0], open));
      Add(TokenKind::kOperator, std::string(op), at_);
      at_ += op.size();
      return {};
    }
    return Fail(at_, fmt::format("unexpected byte 0x{:02x}", static_cast<unsigned char>(c)));
  }

  Status Balance(char c, std::string* open) {
    if (c == '(') *open += ')';
    if (c == '[') *open += ']';
    if (c == '{') *open += '}';
    if (c != ')' && c != ']' && c != '}') return {};
    if (open->empty()) return Fail(at_, fmt::format("'{}' closes nothing", c));
    if (open->back() != c) {
      return Fail(at_, fmt::format("expected '{}', found '{}'", open->back(), c));
    }
    open->pop_back();
    return {};
  }

  Status Number() {
    const size_t begin = at_;
    int base = 10;
    if (source_[at_] == '0' && at_ + 1 < source_.size()) {
      const char mark = static_cast<char>(source_[at_ + 1] | 0x20);
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    }
    if (base != 10) at_ += 2;
    const auto in_number = [&](char c) {
      return c == '_' || (base == 16 ? IsNamePart(c) : IsDigit(c));
    };
    std::string digits = TakeWhile(in_number);
    bool is_float = false;
    if (base == 10 && at_ + 1 < source_.size() && source_[at_] == '.' &&
        IsDigit(source_[at_ + 1])) {
      is_float = true;
      ++at_;
      digits += "." + TakeWhile(in_number);
    }
    if (base == 10 && at_ < source_.size() && (source_[at_] | 0x20) == 'e') {
      const size_t sign =
          at_ + 1 < source_.size() && (source_[at_ + 1] == '-' || source_[at_ + 1] == '+');
      if (at_ + 1 + sign < source_.size() && IsDigit(source_[at_ + 1 + sign])) {
        is_float = true;
        digits += source_.substr(at_, 1 + sign);
        at_ += 1 + sign;
        digits += TakeWhile(in_number);
      }
    }
    if (is_float) {
      Add(TokenKind::kFloat, digits, begin);
      return {};
    }
    int64_t value = 0;
    const char* last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, value, base);
    if (error != std::errc() || end != last) {
      return Fail(begin, "expected a whole number of at most 64 bits");
    }
    Add(TokenKind::kInteger, fmt::format("{}", value), begin);
    return {};
  }

  // Without the underscores between digits.
  std::string TakeWhile(auto belongs) {
    std::string taken;
    for (; at_ < source_.size() && belongs(source_[at_]); ++at_) {
      if (source_[at_] != '_') taken += source_[at_];
    }
    return taken;
  }

  Status Quoted() {
    const size_t begin = at_;
    const char quote = source_[at_++];
    while (at_ < source_.size() && source_[at_] != quote) at_ += source_[at_] == '\\' ? 2 : 1;
    if (at_ >= source_.size()) return Fail(begin, "this string has no end");
    const std::string_view inside = source_.substr(begin + 1, at_ - begin - 1);
    const std::optional<std::string> text = ReplaceEscapes(inside);
    if (!text) return Fail(begin, "this string has an escape that stands for no character");
    Add(TokenKind::kString, *text, begin);
    ++at_;
    return {};
  }

  void AddText(std::string_view text, size_t begin) {
    if (!text.empty()) Add(TokenKind::kText, std::string(text), begin);
  }
  void Add(TokenKind kind, std::string text, size_t begin) {
    tokens_.push_back({kind, std::move(text), PositionOf(begin)});
  }

  // Tokens come in order: only what lies between two of them is looked at.
  Position PositionOf(size_t offset) {
    for (; counted_ < offset; ++counted_) {
      if (source_[counted_] == '\n') {
        ++position_.line;
        position_.column = 1;
      } else {
        ++position_.column;
      }
    }
    return position_;
  }

  Status Fail(size_t offset, const std::string& what) const {
    Lexer counter(source_);
    const Position at = counter.PositionOf(offset);
    return MakeError(ErrorCode::kBadData, "{}:{}: {}", at.line, at.column, what);
  }

  const std::string_view source_;
  size_t at_ = 0;
  bool line_begins_ = true;  // whether at_ stood at the beginning of a line behind the last tag
  size_t counted_ = 0;       // bytes that position_ is behind
  Position position_;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) {
  return Lexer(Normalize(source)).Run();
}

}  // namespace llmrun::jinja
