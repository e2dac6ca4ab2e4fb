#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

#include "text/grammar/codepoint_ranges.h"
#include "text/grammar/json_parts.h"
#include "text/utf8.h"

namespace llmrun {

namespace {

// What a JSON string does not hold as it is; a class of a pattern must not let it in.
constexpr CodepointRange kEscaped[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}};

// Rewrites a regular expression as an expression of GBNF, whose operators are the same. What a
// character stands for in a JSON string is written instead of the character.
class PatternTranslator {
 public:
  explicit PatternTranslator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> Translate() {
    const size_t before_end = pattern_.find_last_not_of('\\', pattern_.size() - 2);
    const bool escaped_end = (pattern_.size() - before_end) % 2 != 0;  // an odd row of backslashes
    if (pattern_.size() < 2 || pattern_[0] != '^' || !pattern_.ends_with('$') || escaped_end) {
      return Fail("must begin with ^ and end with $");
    }
    pattern_ = pattern_.substr(1, pattern_.size() - 2);
    out_ = R"("\"" ()";
    while (pos_ < pattern_.size()) RETURN_IF_ERROR(TranslateNext());
    if (depth_ != 0) return Fail("has a ( without a )");
    return out_ + R"() "\"")";
  }

 private:
  tl::unexpected<Error> Fail(std::string_view what) const {
    return MakeError(ErrorCode::kUsage, "the pattern '{}' {}", pattern_, what);
  }

  Status TranslateNext() {
    const char c = pattern_[pos_];
    if (std::string_view("*+?{").find(c) != std::string_view::npos) return TranslateRepetition();
    before_ = c == '(' || c == '|' ? Before::kNothing : Before::kItem;
    switch (c) {
      case '(':
        return OpenGroup();
      case ')':
        if (depth_-- == 0) return Fail("has a ) without a (");
        [[fallthrough]];
      case '|':
        out_ += c;
        ++pos_;
        return {};
      case '[':
        return TranslateClass();
      case '.':
        ++pos_;
        out_ += R"( [^"\\\x00-\x1F\x7F])";
        return {};
      case '\\':
        return TranslateEscape();
      case '^':
      case '$':
        return Fail("has a ^ or $ inside, which is not understood");
      default:
        return AddCharacter();
    }
  }

  Status TranslateRepetition() {
    const Before before = std::exchange(before_, Before::kRepetition);
    if (before == Before::kNothing) return Fail("repeats nothing");
    if (before == Before::kRepetition) {
      // "As few as possible" says how to search, not what matches.
      if (pattern_[pos_] != '?' || lazy_) return Fail("repeats a repetition");
      lazy_ = true;
      ++pos_;
      return {};
    }
    lazy_ = false;
    if (pattern_[pos_] == '{') return CopyBounds();
    out_ += pattern_[pos_++];
    return {};
  }

  Status OpenGroup() {
    ++pos_;
    if (pattern_.substr(pos_).starts_with("?:")) {
      pos_ += 2;
    } else if (pattern_.substr(pos_).starts_with("?")) {
      return Fail("looks around or names a group, which is not understood");
    }
    ++depth_;
    out_ += " (";
    return {};
  }

  Status CopyBounds() {
    const char* const end = pattern_.data() + pattern_.size();
    uint64_t least = 0;
    auto [at, error] = std::from_chars(pattern_.data() + pos_ + 1, end, least);
    uint64_t most = least;
    if (error == std::errc() && at != end && *at == ',') {
      ++at;
      most = UINT64_MAX;
      if (at != end && *at != '}') {
        const auto [stop, wrong] = std::from_chars(at, end, most);
        at = stop;
        error = wrong;
      }
    }
    if (error != std::errc() || at == end || *at != '}') {
      return Fail("has a { that is no repetition, or one too large");
    }
    if (most < least) return Fail("has a repetition of more times at least than at most");
    const auto after = static_cast<size_t>(at + 1 - pattern_.data());
    out_ += pattern_.substr(pos_, after - pos_);
    pos_ = after;
    return {};
  }

  Status AddCharacter() {
    const Utf8Unit unit = Utf8At(pattern_, pos_);
    if (unit.codepoint < 0x20) return Fail("has a character that JSON strings escape");
    AddLiteral(pattern_.substr(pos_, unit.bytes));
    pos_ += unit.bytes;
    return {};
  }

  // With the escape of JSON where it needs one.
  void AddLiteral(std::string_view character) {
    const bool escaped = character == "\"" || character == "\\";
    out_ += " " + GbnfLiteral((escaped ? "\\" : "") + std::string(character));
  }

  Status TranslateEscape() {
    const std::string_view escape = pattern_.substr(pos_, 2);
    pos_ += 2;
    if (escape == "\\d") return Append(" [0-9]");
    if (escape == "\\w") return Append(" [a-zA-Z0-9_]");
    if (escape == "\\s") return Append(R"( " ")");  // others are escaped in JSON
    if (escape == "\\n" || escape == "\\r" || escape == "\\t") {
      out_ += " " + GbnfLiteral(escape);
      return {};
    }
    if (escape.size() < 2 || !IsPlainEscape(escape[1])) {
      return Fail(fmt::format("has {}, which is not understood", escape));
    }
    AddLiteral(escape.substr(1));
    return {};
  }
  Status Append(std::string_view text) {
    out_ += text;
    return {};
  }
  static bool IsPlainEscape(char c) {
    return std::string_view(R"(^$\.*+?()[]{}|/-"'#&~ ,:;@!%<>=_`)").find(c) !=
           std::string_view::npos;
  }

  Status TranslateClass() {
    ++pos_;
    const bool negated = pattern_.substr(pos_).starts_with('^');
    if (negated) ++pos_;
    std::vector<CodepointRange> members;
    while (pos_ < pattern_.size() && pattern_[pos_] != ']') {
      RETURN_IF_ERROR(TranslateMember(&members));
    }
    if (pos_ == pattern_.size()) return Fail("has a [ without a ]");
    ++pos_;
    // What is wanted, without what JSON strings escape: the complement of the rest.
    members = NormalRanges(std::move(members));
    std::vector<CodepointRange> rest = negated ? members : ComplementOf(members);
    rest.insert(rest.end(), std::begin(kEscaped), std::end(kEscaped));
    out_ += " [";
    for (const CodepointRange& range : ComplementOf(NormalRanges(std::move(rest)))) {
      // A code point that is a surrogate cannot be written, and no text has one.
      const uint32_t first = range.first >= 0xD800 && range.first <= 0xDFFF ? 0xE000 : range.first;
      const uint32_t last = range.last >= 0xD800 && range.last <= 0xDFFF ? 0xD7FF : range.last;
      if (first <= last) out_ += fmt::format("\\U{:08X}-\\U{:08X}", first, last);
    }
    out_ += ']';
    if (out_.ends_with("[]")) return Fail("has a class of characters that JSON strings escape");
    return {};
  }

  // One character, shorthand or range of a class.
  Status TranslateMember(std::vector<CodepointRange>* members) {
    if (pattern_.substr(pos_).starts_with('\\')) {
      const std::string_view escape = pattern_.substr(pos_, 2);
      const auto add = [&](std::initializer_list<CodepointRange> ranges) -> Status {
        members->insert(members->end(), ranges);
        pos_ += 2;
        return {};
      };
      if (escape == "\\d") return add({{'0', '9'}});
      if (escape == "\\w") return add({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
      if (escape == "\\s") return add({{' ', ' '}});
    }
    ASSIGN_OR_RETURN(const uint32_t first, ClassCharacter());
    uint32_t last = first;
    const std::string_view behind = pattern_.substr(pos_, 2);
    if (behind.size() == 2 && behind[0] == '-' && behind[1] != ']') {
      ++pos_;
      ASSIGN_OR_RETURN(last, ClassCharacter());
    }
    if (last < first) return Fail("has a range of characters that ends before it begins");
    members->push_back({first, last});
    return {};
  }

  Result<uint32_t> ClassCharacter() {
    const bool escaped = pattern_[pos_] == '\\';
    if (escaped) ++pos_;
    if (pos_ == pattern_.size()) return Fail("ends in a class");
    if (escaped && !IsPlainEscape(pattern_[pos_])) {
      return Fail(fmt::format("has \\{} in a class, which is not understood", pattern_[pos_]));
    }
    const Utf8Unit unit = Utf8At(pattern_, pos_);
    if (unit.codepoint < 0) return Fail("has a byte that is not UTF-8");
    pos_ += unit.bytes;
    return static_cast<uint32_t>(unit.codepoint);
  }

  enum class Before : uint8_t { kNothing, kItem, kRepetition };

  std::string_view pattern_;
  size_t pos_ = 0;
  int depth_ = 0;
  Before before_ = Before::kNothing;  // what stands in front
  bool lazy_ = false;                 // of a repetition in front: whether it had its "?"
  std::string out_;
};

}  // namespace

Result<std::string> PatternString(std::string_view pattern) {
  return PatternTranslator(pattern).Translate();
}

}  // namespace llmrun
