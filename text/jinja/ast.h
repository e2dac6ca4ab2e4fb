// A parsed template: statements, and the expressions in them.
// Owner: each node owns its parts. How deep they nest is bounded by the parser (kMaxNesting), so
// that walking and destroying them may recurse. Threads: immutable after parsing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "text/jinja/lexer.h"
#include "text/jinja/value.h"

namespace llmrun::jinja {

enum class ExprKind : uint8_t {
  kLiteral,      // literal
  kName,         // name
  kList,         // [parts...]
  kTuple,        // (parts...)
  kDict,         // {parts[0]: parts[1], ...}
  kUnary,        // name parts[0]: not, -, +
  kBinary,       // parts[0] name parts[1]: and, or, +, -, *, /, //, %, **
  kCompare,      // parts[0] names[0] parts[1] names[1] ...: ==, <, in, not in, ...
  kConcat,       // parts[0] ~ parts[1] ~ ...
  kConditional,  // parts[1] if parts[0] else parts[2]; parts[2] may be null
  kAttribute,    // parts[0].name
  kItem,         // parts[0][parts[1]]
  kSlice,        // parts[0][parts[1]:parts[2]:parts[3]]; 1 to 3 may be null
  kCall,         // parts[0](parts[1], ...), the last ones by names
  kFilter,       // parts[0]|name(parts[1], ...), the last ones by names; parts[0] null in `filter`
  kTest,         // parts[0] is name(parts[1], ...), the last ones by names
};

struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  Position at;
  int depth = 1;
  std::string name = {};
  Value literal = {};
  std::vector<ExprPtr> parts = {};
  std::vector<std::string> names = {};
};

enum class StmtKind : uint8_t {
  kText,       // name
  kPrint,      // {{ value }}
  kIf,         // branches; the last one without a condition is the else
  kFor,        // targets in value, where `filter` holds; branches: body, else
  kDo,         // value, which is not printed
  kSet,        // targets = value
  kSetBlock,   // targets[0] = branches[0], through value (a filter) unless null
  kMacro,      // name(targets..., the last ones with defaults); branches[0]
  kCallBlock,  // value (a call), given a macro like the above as `caller`
  kFilter,     // branches[0] through value
  kScope,      // branches[0]: with (targets = values of a tuple), generation
  kBreak,
  kContinue,
};

struct Stmt;
using Block = std::vector<std::unique_ptr<const Stmt>>;

struct Branch {
  ExprPtr condition;  // null: always
  Block body;
};

struct Stmt {
  StmtKind kind = StmtKind::kText;
  Position at;
  std::string name = {};
  std::vector<std::string> targets = {};  // "name", or "namespace.attribute" in set
  ExprPtr value = {};
  ExprPtr filter = {};
  std::vector<ExprPtr> defaults = {};
  std::vector<Branch> branches = {};
  bool is_recursive = false;  // kFor: `loop` can be called
  bool uses_caller = false;   // kMacro, kCallBlock: the name `caller` occurs in the body
};

}  // namespace llmrun::jinja
