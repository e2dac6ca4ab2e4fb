#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "text/grammar/syntax.h"
#include "text/utf8.h"

namespace llmrun {

namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view text) : text_(text) {}

  Result<GrammarSyntax> Parse() {
    SkipSpace(/*newlines=*/true);
    while (!AtEnd()) {
      RETURN_IF_ERROR(ParseRule());
      SkipSpace(true);
    }
    return Finish();
  }

 private:
  bool AtEnd() const { return pos_ >= text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[pos_]; }
  bool Take(std::string_view token) {
    if (!text_.substr(pos_).starts_with(token)) return false;
    pos_ += token.size();
    return true;
  }

  template <typename... Args>
  tl::unexpected<Error> Fail(fmt::format_string<Args...> format, Args&&... args) const {
    return FailAt(pos_, fmt::format(format, std::forward<Args>(args)...));
  }
  tl::unexpected<Error> FailAt(size_t pos, const std::string& what) const {
    const std::string_view before = text_.substr(0, std::min(pos, text_.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t column = before.size() - (before.rfind('\n') + 1) + 1;
    return MakeError(ErrorCode::kUsage, "grammar: line {}, column {}: {}", line, column, what);
  }

  void SkipSpace(bool newlines) {
    while (!AtEnd()) {
      const char c = Peek();
      if (c == '#') {
        while (!AtEnd() && Peek() != '\n') ++pos_;
      } else if (c == ' ' || c == '\t' || (newlines && (c == '\n' || c == '\r'))) {
        ++pos_;
      } else {
        return;
      }
    }
  }

  Result<uint32_t> AddNode(GrammarNode node) {
    if (syntax_.nodes.size() >= kMaxGrammarNodes) {
      return MakeError(ErrorCode::kResource, "grammar: more than {} parts", kMaxGrammarNodes);
    }
    syntax_.nodes.push_back(std::move(node));
    return static_cast<uint32_t>(syntax_.nodes.size() - 1);
  }

  Result<std::string_view> ParseName() {
    const size_t begin = pos_;
    while (!AtEnd() && IsNameCharacter(Peek())) ++pos_;
    if (pos_ == begin) return Fail("expected a name");
    return text_.substr(begin, pos_ - begin);
  }

  uint32_t RuleIndex(std::string_view name) {
    const auto [entry, added] =
        rules_.try_emplace(std::string(name), static_cast<uint32_t>(syntax_.rules.size()));
    if (added) {
      syntax_.rules.push_back({std::string(name), 0});
      defined_.push_back(false);
      first_use_.push_back(pos_);
    }
    return entry->second;
  }

  Status ParseRule() {
    const size_t begin = pos_;
    ASSIGN_OR_RETURN(const std::string_view name, ParseName());
    const uint32_t rule = RuleIndex(name);
    SkipSpace(false);
    if (!Take("::=")) return Fail("expected ::= behind the rule's name '{}'", name);
    SkipSpace(true);
    ASSIGN_OR_RETURN(const uint32_t node, ParseAlternatives(0));
    if (defined_[rule]) {
      return FailAt(begin, fmt::format("the rule '{}' is defined twice", syntax_.rules[rule].name));
    }
    defined_[rule] = true;
    syntax_.rules[rule].node = node;
    if (!AtEnd() && Peek() != '\n' && Peek() != '\r' && !AtLineStart()) {
      return Fail("unexpected '{}'", text_.substr(pos_, Utf8At(text_, pos_).bytes));
    }
    return {};
  }

  // Behind an element: in parentheses a new line is a space, outside it ends the rule unless the
  // next line goes on with |.
  void SkipBetween(int depth) {
    SkipSpace(depth > 0);
    if (depth > 0) return;
    const size_t back = pos_;
    SkipSpace(true);
    if (Peek() != '|') pos_ = back;
  }

  Result<uint32_t> ParseAlternatives(int depth) {
    GrammarNode node;
    node.kind = GrammarNode::Kind::kAlternatives;
    do {
      SkipSpace(depth > 0 || !node.children.empty());
      ASSIGN_OR_RETURN(const uint32_t child, ParseSequence(depth));
      node.children.push_back(child);
    } while (Take("|"));
    if (node.children.size() == 1) return node.children[0];
    return AddNode(std::move(node));
  }

  Result<uint32_t> ParseSequence(int depth) {
    GrammarNode node;
    while (!AtEnd()) {
      const char c = Peek();
      if (c != '"' && c != '[' && c != '.' && c != '(' && !IsNameCharacter(c)) break;
      // The name of the next rule, behind an alternative that was left empty.
      if (depth == 0 && IsNameCharacter(c) && BeginsRule()) break;
      ASSIGN_OR_RETURN(const uint32_t element, ParseElement(depth));
      ASSIGN_OR_RETURN(const uint32_t repeated, ParseRepeats(element));
      node.children.push_back(repeated);
      SkipBetween(depth);
    }
    if (node.children.size() == 1) return node.children[0];
    return AddNode(std::move(node));
  }

  // Only spaces stand between the line's beginning and here: an empty alternative ended a rule.
  bool AtLineStart() const {
    const size_t before = text_.substr(0, pos_).find_last_not_of(" \t");
    return before != std::string_view::npos && text_[before] == '\n';
  }

  bool BeginsRule() const {
    size_t pos = pos_;
    while (pos < text_.size() && IsNameCharacter(text_[pos])) ++pos;
    while (pos < text_.size() && (text_[pos] == ' ' || text_[pos] == '\t')) ++pos;
    return text_.substr(pos).starts_with("::=");
  }

  Result<uint32_t> ParseElement(int depth) {
    const char c = Peek();
    if (c == '"') return ParseLiteral();
    if (c == '[') return ParseSet();
    if (c == '.') {
      ++pos_;
      GrammarNode node;
      node.kind = GrammarNode::Kind::kSet;
      node.ranges = {{0, kLastCodepoint}};
      return AddNode(std::move(node));
    }
    if (c == '(') {
      if (depth == kMaxGrammarDepth) {
        return MakeError(ErrorCode::kResource,
                         "grammar: more than {} parentheses inside each other", kMaxGrammarDepth);
      }
      ++pos_;
      ASSIGN_OR_RETURN(const uint32_t group, ParseAlternatives(depth + 1));
      if (!Take(")")) return Fail("expected )");
      return group;
    }
    ASSIGN_OR_RETURN(const std::string_view name, ParseName());
    GrammarNode node;
    node.kind = GrammarNode::Kind::kRule;
    node.rule = RuleIndex(name);
    return AddNode(std::move(node));
  }

  Result<uint32_t> ParseLiteral() {
    ++pos_;
    GrammarNode node;
    node.kind = GrammarNode::Kind::kLiteral;
    while (!Take("\"")) {
      ASSIGN_OR_RETURN(const uint32_t codepoint, ParseCharacter());
      AppendUtf8(static_cast<int32_t>(codepoint), &node.literal);
    }
    return AddNode(std::move(node));
  }

  Result<uint32_t> ParseSet() {
    ++pos_;
    const bool negated = Take("^");
    std::vector<CodepointRange> ranges;
    while (!Take("]")) {
      ASSIGN_OR_RETURN(const uint32_t first, ParseCharacter());
      uint32_t last = first;
      if (Peek() == '-' && text_.substr(pos_ + 1, 1) != "]") {
        ++pos_;
        ASSIGN_OR_RETURN(last, ParseCharacter());
      }
      if (last < first) return Fail("a range of characters that ends before it begins");
      ranges.push_back({first, last});
    }
    GrammarNode node;
    node.kind = GrammarNode::Kind::kSet;
    node.ranges = NormalRanges(std::move(ranges));
    if (negated) node.ranges = ComplementOf(node.ranges);
    return AddNode(std::move(node));
  }

  // One character of a literal or a class.
  Result<uint32_t> ParseCharacter() {
    if (AtEnd() || Peek() == '\n') return Fail("a literal or a class does not end");
    if (Peek() != '\\') {
      const Utf8Unit unit = Utf8At(text_, pos_);
      if (unit.codepoint < 0) return Fail("a byte that is not UTF-8");
      pos_ += unit.bytes;
      return static_cast<uint32_t>(unit.codepoint);
    }
    ++pos_;
    const char c = Peek();
    ++pos_;
    switch (c) {
      case 'n':
        return uint32_t{'\n'};
      case 'r':
        return uint32_t{'\r'};
      case 't':
        return uint32_t{'\t'};
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<uint32_t>(c);
      case 'x':
        return ParseHex(2);
      case 'u':
        return ParseHex(4);
      case 'U':
        return ParseHex(8);
      default:
        --pos_;
        return Fail("an unknown escape");
    }
  }

  Result<uint32_t> ParseHex(size_t digits) {
    const std::string_view hex = text_.substr(std::min(pos_, text_.size()), digits);
    uint32_t value = 0;
    const auto end = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
    if (hex.size() != digits || end.ptr != hex.data() + hex.size()) {
      return Fail("expected {} hexadecimal digits", digits);
    }
    if (value > kLastCodepoint || (value >= 0xD800 && value <= 0xDFFF)) {
      return Fail("U+{:X} is no character", value);
    }
    pos_ += digits;
    return value;
  }

  // The repetitions behind an element, of which there may be several.
  Result<uint32_t> ParseRepeats(uint32_t element) {
    for (int count = 0;; ++count) {
      GrammarNode node;
      node.kind = GrammarNode::Kind::kRepeat;
      if (Take("*")) {
        node.most = kNoLimit;
      } else if (Take("+")) {
        node.least = 1;
        node.most = kNoLimit;
      } else if (Take("?")) {
        node.most = 1;
      } else if (Take("{")) {
        RETURN_IF_ERROR(ParseBounds(&node));
      } else {
        return element;
      }
      if (count == kMaxGrammarDepth) {
        return MakeError(ErrorCode::kResource, "grammar: more than {} repetitions of one element",
                         kMaxGrammarDepth);
      }
      node.children = {element};
      ASSIGN_OR_RETURN(element, AddNode(std::move(node)));
    }
  }

  Result<uint32_t> ParseNumber() {
    SkipSpace(false);
    const std::string_view rest = text_.substr(pos_);
    uint32_t value = 0;
    const auto end = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (end.ptr == rest.data()) return Fail("expected a number");
    if (end.ec != std::errc() || value > kMaxGrammarRepeats) {
      return MakeError(ErrorCode::kResource, "grammar: a repetition of more than {} times",
                       kMaxGrammarRepeats);
    }
    pos_ += static_cast<size_t>(end.ptr - rest.data());
    SkipSpace(false);
    return value;
  }

  Status ParseBounds(GrammarNode* node) {
    SkipSpace(false);
    if (Peek() != ',') {
      ASSIGN_OR_RETURN(node->least, ParseNumber());
    }
    node->most = node->least;
    if (Take(",")) {
      SkipSpace(false);
      node->most = kNoLimit;
      if (Peek() != '}') {
        ASSIGN_OR_RETURN(node->most, ParseNumber());
      }
    }
    if (!Take("}")) return Fail("expected }}");
    if (node->most < node->least)
      return Fail("a repetition of at least {} and at most {}", node->least, node->most);
    return {};
  }

  Result<GrammarSyntax> Finish() {
    for (size_t i = 0; i < defined_.size(); ++i) {
      if (!defined_[i]) {
        return FailAt(first_use_[i],
                      fmt::format("the rule '{}' is not defined", syntax_.rules[i].name));
      }
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) {
      return MakeFixableError(ErrorCode::kUsage, "root ::= ...",
                              "grammar: there is no rule 'root'");
    }
    syntax_.root = root->second;
    return std::move(syntax_);
  }

  const std::string_view text_;
  size_t pos_ = 0;
  GrammarSyntax syntax_;
  std::unordered_map<std::string, uint32_t> rules_;
  std::vector<bool> defined_;      // [rule]
  std::vector<size_t> first_use_;  // [rule]
};

}  // namespace

Result<GrammarSyntax> ParseGbnf(std::string_view text) {
  if (text.size() > kMaxGrammarBytes) {
    return MakeError(ErrorCode::kResource, "grammar: {} bytes, at most {}", text.size(),
                     kMaxGrammarBytes);
  }
  return GbnfParser(text).Parse();
}

}  // namespace llmrun
