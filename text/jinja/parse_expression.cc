// Expressions of templates, with the precedence that Jinja 3.1 gives its operators: conditional,
// or, and, not, comparisons, + and -, ~, * / // %, **, signs, and then what stands behind a value.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "text/jinja/parser.h"

namespace llmrun::jinja {
namespace {

struct BinaryOperator {
  std::string_view text;
  int precedence;
};
constexpr int kOr = 1;
constexpr int kAnd = 2;
constexpr int kSum = 3;      // over concatenations
constexpr int kProduct = 4;  // over powers
constexpr int kPower = 5;
constexpr BinaryOperator kBinaryOperators[] = {
    {"or", kOr},     {"and", kAnd},    {"+", kSum},     {"-", kSum},    {"*", kProduct},
    {"/", kProduct}, {"//", kProduct}, {"%", kProduct}, {"**", kPower},
};
constexpr std::string_view kComparisons[] = {"==", "!=", "<", "<=", ">", ">="};

}  // namespace

const Token& Parser::Peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}
bool Parser::IsOperator(std::string_view text, size_t ahead) const {
  return Peek(ahead).kind == TokenKind::kOperator && Peek(ahead).text == text;
}
bool Parser::IsWord(std::string_view text, size_t ahead) const {
  return Peek(ahead).kind == TokenKind::kName && Peek(ahead).text == text;
}
bool Parser::TakeOperator(std::string_view text) {
  if (!IsOperator(text)) return false;
  ++at_;
  return true;
}
bool Parser::TakeWord(std::string_view text) {
  if (!IsWord(text)) return false;
  ++at_;
  return true;
}
Status Parser::ExpectOperator(std::string_view text) {
  if (TakeOperator(text)) return {};
  return Unexpected(fmt::format("'{}'", text));
}
Status Parser::ExpectWord(std::string_view text) {
  if (TakeWord(text)) return {};
  return Unexpected(fmt::format("'{}'", text));
}
Result<std::string> Parser::ExpectName(std::string_view what) {
  if (Peek().kind != TokenKind::kName) return Unexpected(what);
  return Take().text;
}

tl::unexpected<Error> Parser::Unexpected(std::string_view wanted) const {
  const Token& token = Peek();
  std::string found = fmt::format("'{}'", token.text);
  if (token.kind == TokenKind::kEndOfSource) found = "the end of the template";
  if (token.kind == TokenKind::kText) found = "text";
  if (token.kind == TokenKind::kPrint) found = "'{{'";
  if (token.kind == TokenKind::kPrintEnd) found = "'}}'";
  if (token.kind == TokenKind::kBlock) found = fmt::format("'{{% {}'", Peek(1).text);
  if (token.kind == TokenKind::kBlockEnd) found = "'%}'";
  if (token.kind == TokenKind::kString) found = "a string";
  return MakeError(ErrorCode::kBadData, "{}:{}: expected {}, found {}", token.at.line,
                   token.at.column, wanted, found);
}

Status Parser::CheckDepth(int depth) const {
  if (depth <= kMaxNesting) return {};
  return MakeError(ErrorCode::kBadData, "{}:{}: nested more than {} deep", Peek().at.line,
                   Peek().at.column, kMaxNesting);
}

Expr Parser::NewExpr(ExprKind kind) const {
  Expr expr;
  expr.kind = kind;
  expr.at = Peek().at;
  return expr;
}

Result<ExprPtr> Parser::Finish(Expr expr) const {
  for (const ExprPtr& part : expr.parts) {
    if (part) expr.depth = std::max(expr.depth, part->depth + 1);
  }
  RETURN_IF_ERROR(CheckDepth(expr.depth));
  return std::make_unique<const Expr>(std::move(expr));
}

Result<ExprPtr> Parser::ParseTuple(bool with_conditional) {
  Expr tuple = NewExpr(ExprKind::kTuple);
  bool is_tuple = false;
  do {
    const TokenKind next = Peek().kind;
    const bool ended = next == TokenKind::kBlockEnd || next == TokenKind::kPrintEnd ||
                       IsOperator(")") || IsWord("in");
    if (ended && is_tuple) break;  // after the last comma
    ASSIGN_OR_RETURN(ExprPtr part, ParseExpression(with_conditional));
    tuple.parts.push_back(std::move(part));
    is_tuple = is_tuple || IsOperator(",");
  } while (TakeOperator(","));
  if (!is_tuple) return std::move(tuple.parts[0]);
  return Finish(std::move(tuple));
}

Result<ExprPtr> Parser::ParseExpression(bool with_conditional) {
  const Level level(&depth_);
  RETURN_IF_ERROR(CheckDepth(depth_));
  return with_conditional ? ParseConditional() : ParseBinary(kOr);
}

Result<ExprPtr> Parser::ParseConditional() {
  ASSIGN_OR_RETURN(ExprPtr value, ParseBinary(kOr));
  while (IsWord("if")) {
    Expr expr = NewExpr(ExprKind::kConditional);
    ++at_;
    ASSIGN_OR_RETURN(ExprPtr condition, ParseBinary(kOr));
    ExprPtr otherwise;
    if (TakeWord("else")) {
      ASSIGN_OR_RETURN(otherwise, ParseExpression());
    }
    expr.parts.push_back(std::move(condition));
    expr.parts.push_back(std::move(value));
    expr.parts.push_back(std::move(otherwise));
    ASSIGN_OR_RETURN(value, Finish(std::move(expr)));
  }
  return value;
}

// The operands of operators of at least this precedence: what binds stronger than all of them.
Result<ExprPtr> Parser::ParseOperand(int min_precedence) {
  if (min_precedence <= kAnd) return ParseCompare();
  return min_precedence == kSum ? ParseConcat() : ParseUnary(true);
}

// Operators of at least this precedence; all of them lean to the left.
Result<ExprPtr> Parser::ParseBinary(int min_precedence) {
  ASSIGN_OR_RETURN(ExprPtr left, ParseOperand(min_precedence));
  while (true) {
    const Token& token = Peek();
    const bool may_be = token.kind == TokenKind::kOperator || token.kind == TokenKind::kName;
    const auto* op = std::ranges::find(kBinaryOperators, token.text, &BinaryOperator::text);
    if (!may_be || op == std::end(kBinaryOperators) || op->precedence < min_precedence) return left;
    Expr expr = NewExpr(ExprKind::kBinary);
    expr.name = Take().text;
    expr.parts.push_back(std::move(left));
    ASSIGN_OR_RETURN(ExprPtr right, ParseRight(op->precedence));
    expr.parts.push_back(std::move(right));
    ASSIGN_OR_RETURN(left, Finish(std::move(expr)));
  }
}

// What stands to the right of an operator: all that binds stronger.
Result<ExprPtr> Parser::ParseRight(int precedence) {
  if (precedence == kAnd) return ParseCompare();
  if (precedence == kSum) return ParseConcat();
  if (precedence == kPower) return ParseUnary(true);
  return ParseBinary(precedence + 1);
}

// `not` binds less than comparisons, and they less than sums.
Result<ExprPtr> Parser::ParseCompare() {
  if (IsWord("not")) {
    const Level level(&depth_);
    RETURN_IF_ERROR(CheckDepth(depth_));
    Expr expr = NewExpr(ExprKind::kUnary);
    expr.name = Take().text;
    ASSIGN_OR_RETURN(ExprPtr part, ParseCompare());
    expr.parts.push_back(std::move(part));
    return Finish(std::move(expr));
  }
  Expr expr = NewExpr(ExprKind::kCompare);
  ASSIGN_OR_RETURN(ExprPtr left, ParseBinary(kSum));
  expr.parts.push_back(std::move(left));
  while (true) {
    const bool not_in = IsWord("not") && IsWord("in", 1);
    const bool is_comparison =
        Peek().kind == TokenKind::kOperator &&
        std::ranges::find(kComparisons, Peek().text) != std::end(kComparisons);
    if (!not_in && !IsWord("in") && !is_comparison) break;
    if (not_in) ++at_;
    const std::string op = Take().text;
    expr.names.push_back(not_in ? "not in" : op);
    ASSIGN_OR_RETURN(ExprPtr right, ParseBinary(kSum));
    expr.parts.push_back(std::move(right));
  }
  if (expr.names.empty()) return std::move(expr.parts[0]);
  return Finish(std::move(expr));
}

Result<ExprPtr> Parser::ParseConcat() {
  Expr expr = NewExpr(ExprKind::kConcat);
  do {
    ASSIGN_OR_RETURN(ExprPtr part, ParseBinary(kProduct));
    expr.parts.push_back(std::move(part));
  } while (TakeOperator("~"));
  if (expr.parts.size() == 1) return std::move(expr.parts[0]);
  return Finish(std::move(expr));
}

Result<ExprPtr> Parser::ParseUnary(bool with_filter) {
  ExprPtr value;
  if (IsOperator("-") || IsOperator("+")) {
    const Level level(&depth_);
    RETURN_IF_ERROR(CheckDepth(depth_));
    Expr expr = NewExpr(ExprKind::kUnary);
    expr.name = Take().text;
    ASSIGN_OR_RETURN(ExprPtr part, ParseUnary(false));
    expr.parts.push_back(std::move(part));
    ASSIGN_OR_RETURN(value, Finish(std::move(expr)));
  } else {
    ASSIGN_OR_RETURN(value, ParsePrimary());
  }
  ASSIGN_OR_RETURN(value, ParsePostfix(std::move(value)));
  return with_filter ? ParseFilters(std::move(value)) : Result<ExprPtr>(std::move(value));
}

Result<ExprPtr> Parser::ParsePrimary() {
  Expr expr = NewExpr(ExprKind::kLiteral);
  switch (Peek().kind) {
    case TokenKind::kName:
      return ParseWord();
    case TokenKind::kString: {
      std::string text;
      while (Peek().kind == TokenKind::kString) text += Take().text;
      expr.literal = Value::Of(std::move(text));
      return Finish(std::move(expr));
    }
    case TokenKind::kInteger:
    case TokenKind::kFloat: {
      const Token token = Take();
      const char* end = token.text.data() + token.text.size();
      int64_t integer = 0;
      double number = 0;
      if (token.kind == TokenKind::kInteger) {
        std::from_chars(token.text.data(), end, integer);
        expr.literal = Value::Of(integer);
      } else {
        std::from_chars(token.text.data(), end, number);
        expr.literal = Value::Of(number);
      }
      return Finish(std::move(expr));
    }
    default:
      break;
  }
  if (IsOperator("(")) return ParseParenthesis();
  if (IsOperator("[")) return ParseList();
  if (IsOperator("{")) return ParseDict();
  return Unexpected("an expression");
}

Result<ExprPtr> Parser::ParseWord() {
  Expr expr = NewExpr(ExprKind::kLiteral);
  if (TakeWord("true") || TakeWord("True")) {
    expr.literal = Value::Of(true);
  } else if (TakeWord("false") || TakeWord("False")) {
    expr.literal = Value::Of(false);
  } else if (TakeWord("none") || TakeWord("None")) {
    expr.literal = Value::OfNone();
  } else {
    expr.kind = ExprKind::kName;
    expr.name = Take().text;
    uses_caller_ = uses_caller_ || expr.name == "caller";
  }
  return Finish(std::move(expr));
}

Result<ExprPtr> Parser::ParseParenthesis() {
  Expr empty = NewExpr(ExprKind::kTuple);
  ++at_;
  if (TakeOperator(")")) return Finish(std::move(empty));
  ASSIGN_OR_RETURN(ExprPtr value, ParseTuple(true));
  RETURN_IF_ERROR(ExpectOperator(")"));
  return value;
}

Result<ExprPtr> Parser::ParseList() {
  Expr expr = NewExpr(ExprKind::kList);
  ++at_;
  while (!TakeOperator("]")) {
    if (!expr.parts.empty()) RETURN_IF_ERROR(ExpectOperator(","));
    if (TakeOperator("]")) break;
    ASSIGN_OR_RETURN(ExprPtr part, ParseExpression());
    expr.parts.push_back(std::move(part));
  }
  return Finish(std::move(expr));
}

Result<ExprPtr> Parser::ParseDict() {
  Expr expr = NewExpr(ExprKind::kDict);
  ++at_;
  while (!TakeOperator("}")) {
    if (!expr.parts.empty()) RETURN_IF_ERROR(ExpectOperator(","));
    if (TakeOperator("}")) break;
    ASSIGN_OR_RETURN(ExprPtr key, ParseExpression());
    RETURN_IF_ERROR(ExpectOperator(":"));
    ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    expr.parts.push_back(std::move(key));
    expr.parts.push_back(std::move(value));
  }
  return Finish(std::move(expr));
}

}  // namespace llmrun::jinja
