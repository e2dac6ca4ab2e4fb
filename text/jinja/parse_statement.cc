// Statements of templates: what stands in {% %}.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/parser.h"

namespace llmrun::jinja {

Result<Block> Parser::ParseTemplate() { return ParseBlock({}); }

Result<Block> Parser::ParseBlock(std::initializer_list<std::string_view> ends) {
  const Level level(&depth_);
  RETURN_IF_ERROR(CheckDepth(depth_));
  Block block;
  while (Peek().kind != TokenKind::kEndOfSource) {
    const bool is_end = Peek().kind == TokenKind::kBlock &&
                        std::ranges::any_of(ends, [&](auto end) { return IsWord(end, 1); });
    if (is_end) {
      ++at_;
      return block;
    }
    RETURN_IF_ERROR(ParseStatement(&block));
  }
  if (ends.size() > 0) return Unexpected(fmt::format("'{}'", fmt::join(ends, "' or '")));
  return block;
}

Status Parser::ParseStatement(Block* block) {
  const Token token = Take();
  Stmt stmt;
  if (token.kind == TokenKind::kText) {
    stmt.kind = StmtKind::kText;
    stmt.name = token.text;
  } else if (token.kind == TokenKind::kPrint) {
    stmt.kind = StmtKind::kPrint;
    ASSIGN_OR_RETURN(stmt.value, ParseTuple(true));
    if (Peek().kind != TokenKind::kPrintEnd) return Unexpected("'}}'");
    ++at_;
  } else {
    if (Peek().kind != TokenKind::kName) return Unexpected("the name of a statement");
    const std::string word = Take().text;
    ASSIGN_OR_RETURN(stmt, ParseTag(word, token.at));
    RETURN_IF_ERROR(EndTag());
  }
  stmt.at = token.at;
  block->push_back(std::make_unique<const Stmt>(std::move(stmt)));
  return {};
}

Result<Stmt> Parser::ParseTag(const std::string& word, Position at) {
  if (word == "if") return ParseIf();
  if (word == "for") return ParseFor();
  if (word == "set") return ParseSet();
  if (word == "macro") return ParseMacro();
  if (word == "call") return ParseCallBlock();
  if (word == "with") return ParseWith();
  if (word == "filter") return ParseFilterBlock();
  if (word == "break" || word == "continue") return ParseLoopControl(word);
  Stmt stmt;
  if (word == "do") {
    stmt.kind = StmtKind::kDo;
    ASSIGN_OR_RETURN(stmt.value, ParseTuple(true));
    return stmt;
  }
  if (word == "generation") {
    stmt.kind = StmtKind::kScope;
    RETURN_IF_ERROR(ParseBody("endgeneration", &stmt));
    return stmt;
  }
  for (const std::string_view other : {"extends", "block", "include", "import", "from"}) {
    if (word != other) continue;
    return MakeError(ErrorCode::kBadData,
                     "{}:{}: '{}' is not supported: there are no other templates beside this one",
                     at.line, at.column, word);
  }
  return MakeError(ErrorCode::kBadData,
                   "{}:{}: unknown statement '{}'; expected if, for, set, macro, call, with, "
                   "filter, do, break, continue, generation or raw",
                   at.line, at.column, word);
}

Status Parser::EndTag() {
  if (Peek().kind != TokenKind::kBlockEnd) return Unexpected("'%}'");
  ++at_;
  return {};
}

Status Parser::ParseBody(std::string_view end, Stmt* stmt) {
  RETURN_IF_ERROR(EndTag());
  ASSIGN_OR_RETURN(Block body, ParseBlock({end}));
  ++at_;
  stmt->branches.push_back({nullptr, std::move(body)});
  return {};
}

Result<Stmt> Parser::ParseIf() {
  Stmt stmt;
  stmt.kind = StmtKind::kIf;
  ASSIGN_OR_RETURN(ExprPtr condition, ParseTuple(false));
  while (true) {
    RETURN_IF_ERROR(EndTag());
    ASSIGN_OR_RETURN(Block body, ParseBlock({"elif", "else", "endif"}));
    stmt.branches.push_back({std::move(condition), std::move(body)});
    const std::string word = Take().text;
    if (word == "endif") return stmt;
    if (word == "else") {
      RETURN_IF_ERROR(ParseBody("endif", &stmt));
      return stmt;
    }
    ASSIGN_OR_RETURN(condition, ParseTuple(false));
  }
}

Result<Stmt> Parser::ParseFor() {
  Stmt stmt;
  stmt.kind = StmtKind::kFor;
  ASSIGN_OR_RETURN(stmt.targets, ParseTargets(false));
  RETURN_IF_ERROR(ExpectWord("in"));
  ASSIGN_OR_RETURN(stmt.value, ParseTuple(false));
  if (TakeWord("if")) {
    ASSIGN_OR_RETURN(stmt.filter, ParseExpression());
  }
  stmt.is_recursive = TakeWord("recursive");
  RETURN_IF_ERROR(EndTag());
  ++loops_;
  ASSIGN_OR_RETURN(Block body, ParseBlock({"endfor", "else"}));
  --loops_;
  stmt.branches.push_back({nullptr, std::move(body)});
  if (Take().text == "else") RETURN_IF_ERROR(ParseBody("endfor", &stmt));
  return stmt;
}

Result<Stmt> Parser::ParseSet() {
  Stmt stmt;
  stmt.kind = StmtKind::kSet;
  ASSIGN_OR_RETURN(stmt.targets, ParseTargets(true));
  if (TakeOperator("=")) {
    ASSIGN_OR_RETURN(stmt.value, ParseTuple(true));
    return stmt;
  }
  stmt.kind = StmtKind::kSetBlock;
  if (stmt.targets.size() != 1) return Unexpected("'='");
  if (IsOperator("|")) {
    ASSIGN_OR_RETURN(stmt.value, ParseFilters(nullptr));
  }
  RETURN_IF_ERROR(ParseBody("endset", &stmt));
  return stmt;
}

Result<Stmt> Parser::ParseMacro() {
  Stmt stmt;
  stmt.kind = StmtKind::kMacro;
  ASSIGN_OR_RETURN(stmt.name, ExpectName("the name of a macro"));
  RETURN_IF_ERROR(ExpectOperator("("));
  RETURN_IF_ERROR(ParseParameters(&stmt));
  RETURN_IF_ERROR(ParseMacroBody("endmacro", &stmt));
  return stmt;
}

Result<Stmt> Parser::ParseCallBlock() {
  Stmt stmt;
  stmt.kind = StmtKind::kCallBlock;
  if (TakeOperator("(")) RETURN_IF_ERROR(ParseParameters(&stmt));
  ASSIGN_OR_RETURN(stmt.value, ParseExpression());
  if (stmt.value->kind != ExprKind::kCall) return Unexpected("the call of a macro before it");
  RETURN_IF_ERROR(ParseMacroBody("endcall", &stmt));
  return stmt;
}

Status Parser::ParseParameters(Stmt* stmt) {
  while (!TakeOperator(")")) {
    if (!stmt->targets.empty()) RETURN_IF_ERROR(ExpectOperator(","));
    ASSIGN_OR_RETURN(std::string parameter, ExpectName("the name of a parameter"));
    stmt->targets.push_back(std::move(parameter));
    if (TakeOperator("=")) {
      ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
      stmt->defaults.push_back(std::move(value));
    } else if (!stmt->defaults.empty()) {
      return Unexpected("'=': a parameter behind one with a default has one too");
    }
  }
  return {};
}

Status Parser::ParseMacroBody(std::string_view end, Stmt* stmt) {
  const int outer_loops = std::exchange(loops_, 0);
  const bool outer_uses_caller = std::exchange(uses_caller_, false);
  RETURN_IF_ERROR(ParseBody(end, stmt));
  loops_ = outer_loops;
  stmt->uses_caller = uses_caller_;
  uses_caller_ = uses_caller_ || outer_uses_caller;
  return {};
}

Result<Stmt> Parser::ParseWith() {
  Stmt stmt;
  stmt.kind = StmtKind::kScope;
  while (Peek().kind != TokenKind::kBlockEnd) {
    if (!stmt.targets.empty()) RETURN_IF_ERROR(ExpectOperator(","));
    ASSIGN_OR_RETURN(std::string name, ParseTarget(false));
    stmt.targets.push_back(std::move(name));
    RETURN_IF_ERROR(ExpectOperator("="));
    ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    stmt.defaults.push_back(std::move(value));
  }
  RETURN_IF_ERROR(ParseBody("endwith", &stmt));
  return stmt;
}

Result<Stmt> Parser::ParseFilterBlock() {
  Stmt stmt;
  stmt.kind = StmtKind::kFilter;
  ASSIGN_OR_RETURN(ExprPtr first, ParseFilter(nullptr));
  ASSIGN_OR_RETURN(stmt.value, ParseFilters(std::move(first)));
  RETURN_IF_ERROR(ParseBody("endfilter", &stmt));
  return stmt;
}

Result<Stmt> Parser::ParseLoopControl(const std::string& word) {
  Stmt stmt;
  stmt.kind = word == "break" ? StmtKind::kBreak : StmtKind::kContinue;
  if (loops_ == 0) return Unexpected(fmt::format("a loop around '{}'", word));
  return stmt;
}

// a | a, b | (a, b) | namespace.attribute
Result<std::vector<std::string>> Parser::ParseTargets(bool attributes) {
  const bool in_parentheses = TakeOperator("(");
  std::vector<std::string> targets;
  do {
    ASSIGN_OR_RETURN(std::string target, ParseTarget(attributes));
    targets.push_back(std::move(target));
  } while (TakeOperator(","));
  if (in_parentheses) RETURN_IF_ERROR(ExpectOperator(")"));
  return targets;
}

Result<std::string> Parser::ParseTarget(bool attributes) {
  ASSIGN_OR_RETURN(std::string target, ExpectName("the name of a variable"));
  for (const std::string_view word : {"true", "false", "none", "True", "False", "None"}) {
    if (target == word) {
      --at_;
      return Unexpected("the name of a variable");
    }
  }
  if (attributes && TakeOperator(".")) {
    ASSIGN_OR_RETURN(const std::string attribute, ExpectName("the name of an attribute"));
    target += "." + attribute;
  }
  return target;
}

}  // namespace llmrun::jinja
