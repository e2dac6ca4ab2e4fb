// What stands behind a value in templates: attributes, subscripts, calls, filters and tests.
#include <utility>

#include "text/jinja/parser.h"

namespace llmrun::jinja {

Result<ExprPtr> Parser::ParsePostfix(ExprPtr value) {
  while (true) {
    if (IsOperator(".")) {
      Expr expr = NewExpr(ExprKind::kAttribute);
      ++at_;
      if (Peek().kind == TokenKind::kInteger) {  // value.0 is value[0]
        expr.kind = ExprKind::kItem;
        expr.parts.push_back(std::move(value));
        ASSIGN_OR_RETURN(ExprPtr index, ParsePrimary());
        expr.parts.push_back(std::move(index));
      } else {
        ASSIGN_OR_RETURN(expr.name, ExpectName("the name of an attribute"));
        expr.parts.push_back(std::move(value));
      }
      ASSIGN_OR_RETURN(value, Finish(std::move(expr)));
    } else if (IsOperator("[")) {
      ASSIGN_OR_RETURN(value, ParseSubscript(std::move(value)));
    } else if (IsOperator("(")) {
      ASSIGN_OR_RETURN(value, ParseCall(std::move(value)));
    } else {
      return value;
    }
  }
}

Result<ExprPtr> Parser::ParseCall(ExprPtr value) {
  Expr expr = NewExpr(ExprKind::kCall);
  ++at_;
  expr.parts.push_back(std::move(value));
  RETURN_IF_ERROR(ParseArguments(&expr));
  return Finish(std::move(expr));
}

Result<ExprPtr> Parser::ParseSubscript(ExprPtr value) {
  Expr expr = NewExpr(ExprKind::kItem);
  ++at_;
  expr.parts.push_back(std::move(value));
  bool is_slice = false;
  while (expr.parts.size() < 4) {
    ExprPtr part;
    if (!IsOperator(":") && !IsOperator("]")) {
      ASSIGN_OR_RETURN(part, ParseExpression());
    }
    expr.parts.push_back(std::move(part));
    if (!TakeOperator(":")) break;
    is_slice = true;
  }
  if (is_slice) {
    expr.kind = ExprKind::kSlice;
    expr.parts.resize(4);
  } else if (expr.parts[1] == nullptr) {
    return Unexpected("an expression");
  }
  RETURN_IF_ERROR(ExpectOperator("]"));
  return Finish(std::move(expr));
}

Status Parser::ParseArguments(Expr* call) {
  bool first = true;
  while (!TakeOperator(")")) {
    if (!first) RETURN_IF_ERROR(ExpectOperator(","));
    if (!first && TakeOperator(")")) break;
    first = false;
    if (Peek().kind == TokenKind::kName && IsOperator("=", 1)) {
      call->names.push_back(Take().text);
      ++at_;
    } else if (!call->names.empty()) {
      return Unexpected("an argument with its name, as those before it");
    }
    ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    call->parts.push_back(std::move(value));
  }
  return {};
}

Result<ExprPtr> Parser::ParseFilters(ExprPtr value) {
  while (true) {
    if (TakeOperator("|")) {
      ASSIGN_OR_RETURN(value, ParseFilter(std::move(value)));
    } else if (value != nullptr && TakeWord("is")) {
      ASSIGN_OR_RETURN(value, ParseTest(std::move(value)));
    } else if (value != nullptr && IsOperator("(")) {
      ASSIGN_OR_RETURN(value, ParseCall(std::move(value)));
    } else {
      return value;
    }
  }
}

Result<ExprPtr> Parser::ParseFilter(ExprPtr value) {
  Expr expr = NewExpr(ExprKind::kFilter);
  ASSIGN_OR_RETURN(expr.name, ExpectName("the name of a filter"));
  expr.parts.push_back(std::move(value));
  if (TakeOperator("(")) RETURN_IF_ERROR(ParseArguments(&expr));
  return Finish(std::move(expr));
}

Result<ExprPtr> Parser::ParseTest(ExprPtr value) {
  const bool negated = TakeWord("not");
  Expr expr = NewExpr(ExprKind::kTest);
  ASSIGN_OR_RETURN(expr.name, ExpectName("the name of a test"));
  expr.parts.push_back(std::move(value));
  const TokenKind next = Peek().kind;
  const bool is_word = next == TokenKind::kName && !IsWord("else") && !IsWord("or") &&
                       !IsWord("and") && !IsWord("is") && !IsWord("if") && !IsWord("not") &&
                       !IsWord("in");
  if (TakeOperator("(")) {
    RETURN_IF_ERROR(ParseArguments(&expr));
  } else if (is_word || next == TokenKind::kString || next == TokenKind::kInteger ||
             next == TokenKind::kFloat || IsOperator("[") || IsOperator("{")) {
    ASSIGN_OR_RETURN(ExprPtr argument, ParsePrimary());
    ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    expr.parts.push_back(std::move(argument));
  }
  Result<ExprPtr> test = Finish(std::move(expr));
  if (!negated || !test) return test;
  Expr inverse = NewExpr(ExprKind::kUnary);
  inverse.name = "not";
  inverse.parts.push_back(*std::move(test));
  return Finish(std::move(inverse));
}

}  // namespace llmrun::jinja
