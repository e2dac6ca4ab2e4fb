// Tokens of a template into its statements: the grammar of Jinja 3.1 but for inheritance and
// imports, with `do`, the loop controls, and the `generation` block of Hugging Face's transformers.
//
// Recursive descent; how deep it goes is counted, and refused beyond kMaxNesting.
// Threads: Single-thread. Failure: kBadData with line, column, what was expected and found.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace llmrun::jinja {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Block> ParseTemplate();

 private:
  // Counts how deep the parser is in itself.
  class Level {
   public:
    explicit Level(int* depth) : depth_(depth) { ++*depth_; }
    ~Level() { --*depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    int* depth_;
  };
  Status CheckDepth(int depth) const;

  // parse_statement.cc
  // Up to a tag that begins with one of the words, which is left at its word.
  Result<Block> ParseBlock(std::initializer_list<std::string_view> ends);
  Status ParseStatement(Block* block);
  Result<Stmt> ParseTag(const std::string& word, Position at);
  Result<Stmt> ParseIf();
  Result<Stmt> ParseFor();
  Result<Stmt> ParseSet();
  Result<Stmt> ParseMacro();
  Result<Stmt> ParseCallBlock();
  Status ParseParameters(Stmt* stmt);                       // behind (
  Status ParseMacroBody(std::string_view end, Stmt* stmt);  // whose loops and caller are its own
  Result<Stmt> ParseWith();
  Result<Stmt> ParseFilterBlock();
  Result<Stmt> ParseLoopControl(const std::string& word);
  Status ParseBody(std::string_view end, Stmt* stmt);  // a body up to `end`, and its tag
  Result<std::vector<std::string>> ParseTargets(bool attributes);
  Result<std::string> ParseTarget(bool attributes);
  Status EndTag();  // %}

  // parse_expression.cc
  Result<ExprPtr> ParseTuple(bool with_conditional);  // at least one expression
  Result<ExprPtr> ParseExpression(bool with_conditional = true);
  Result<ExprPtr> ParseConditional();
  Result<ExprPtr> ParseBinary(int min_precedence);
  Result<ExprPtr> ParseOperand(int min_precedence);
  Result<ExprPtr> ParseRight(int precedence);
  Result<ExprPtr> ParseCompare();
  Result<ExprPtr> ParseConcat();
  Result<ExprPtr> ParseUnary(bool with_filter);
  Result<ExprPtr> ParsePrimary();
  Result<ExprPtr> ParseWord();
  Result<ExprPtr> ParseParenthesis();
  Result<ExprPtr> ParseList();
  Result<ExprPtr> ParseDict();
  Result<ExprPtr> ParsePostfix(ExprPtr value);
  Result<ExprPtr> ParseCall(ExprPtr value);  // at its opening parenthesis
  Result<ExprPtr> ParseSubscript(ExprPtr value);
  Result<ExprPtr> ParseFilters(ExprPtr value);  // filters, tests and calls behind a value
  Result<ExprPtr> ParseFilter(ExprPtr value);   // behind its bar
  Result<ExprPtr> ParseTest(ExprPtr value);     // behind `is`
  Status ParseArguments(Expr* call);            // behind (
  Result<ExprPtr> Finish(Expr expr) const;      // with its depth, which is checked

  const Token& Peek(size_t ahead = 0) const;
  Token Take() { return tokens_[at_++]; }
  bool IsOperator(std::string_view text, size_t ahead = 0) const;
  bool IsWord(std::string_view text, size_t ahead = 0) const;
  bool TakeOperator(std::string_view text);
  bool TakeWord(std::string_view text);
  Status ExpectOperator(std::string_view text);
  Status ExpectWord(std::string_view text);
  Result<std::string> ExpectName(std::string_view what);
  tl::unexpected<Error> Unexpected(std::string_view wanted) const;
  Expr NewExpr(ExprKind kind) const;

  const std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;             // for statements around what is parsed, in this macro
  bool uses_caller_ = false;  // what was parsed of this macro
};

}  // namespace llmrun::jinja
