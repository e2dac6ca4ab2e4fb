// Evaluates a parsed template. Every loop, call and byte made is counted against limits, so that a
// hostile template ends with an error: soon, in bounded memory, and without deep recursion.
//
// Owner: the interpreter owns the namespaces that values point to; the template must outlive it.
// Threads: Single-thread.
// Failure: kBadData with line and column for what the template does wrong, kUsage for what it
// refuses by raise_exception, kResource for a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/jinja/ast.h"
#include "text/jinja/template.h"
#include "text/jinja/value.h"

namespace llmrun::jinja {

// Statements and expressions in evaluation at once, those of the macros that were called included.
inline constexpr int kMaxCallDepth = 800;

// Of a call, without the value that a method or filter is of.
struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string, Value>> named;

  // The one that stands at `index` or has the name; nullptr when neither is there.
  const Value* Find(size_t index, std::string_view name) const;
};

class Interpreter {
 public:
  explicit Interpreter(const RenderOptions& options) : options_(options) {}

  Result<std::string> Run(const Block& block, const Dict& context);

  // For filters, tests, methods and functions:
  Status Charge(uint64_t steps);
  Status ChargeBytes(uint64_t bytes);
  Result<Value> NewText(std::string text);
  Result<Value> NewList(std::vector<Value> items, bool is_tuple = false);
  Result<Value> NewNamespace(const Arguments& attributes);
  Result<std::string> TextOf(const Value& value);
  Result<std::string> JsonOf(const Value& value, const struct JsonStyle& style);
  // What a for statement sees: elements, keys, characters; nothing of an undefined value.
  Result<ListPtr> ItemsOf(const Value& value);
  Result<Value> Attribute(const Value& value, const std::string& name);
  Result<Value> Item(const Value& value, const Value& key);
  Result<bool> Contains(const Value& whole, const Value& part);
  Result<bool> AreEqual(const Value& a, const Value& b);
  Result<Value> ApplyFilter(const std::string& name, const Value& value,
                            const Arguments& arguments);
  Result<bool> ApplyTest(const std::string& name, const Value& value, const Arguments& arguments);
  // Like Python's, of what `groupby` makes.
  Result<Value> NewGroup(Value grouper, std::vector<Value> items);
  Result<Value> Binary(const std::string& op, const Value& a, const Value& b);
  const std::tm& now() const { return options_.now; }

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  struct Scope {
    std::map<std::string, Value, std::less<>> values;
    Scope* parent = nullptr;
  };
  // Counts how deep evaluation is in itself.
  class Level {
   public:
    explicit Level(int* depth) : depth_(depth) { ++*depth_; }
    ~Level() { --*depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    int* depth_;
  };
  // Makes a new scope the innermost one while it lives.
  class InScope {
   public:
    InScope(Interpreter& in, Scope* parent) : in_(in), outer_(in.scope_), scope_{{}, parent} {
      in_.scope_ = &scope_;
    }
    explicit InScope(Interpreter& in) : InScope(in, in.scope_) {}
    ~InScope() { in_.scope_ = outer_; }
    InScope(const InScope&) = delete;
    InScope& operator=(const InScope&) = delete;

   private:
    Interpreter& in_;
    Scope* outer_;
    Scope scope_;
  };
  // Gives the innermost scope a number while it lives: values ask for it by that, as they may
  // outlive it.
  class OpenScope {
   public:
    explicit OpenScope(Interpreter& in) : in_(in), number_(++in.last_open_) {
      in_.open_scopes_.emplace(number_, in_.scope_);
    }
    ~OpenScope() { in_.open_scopes_.erase(number_); }
    OpenScope(const OpenScope&) = delete;
    OpenScope& operator=(const OpenScope&) = delete;
    uint64_t number() const { return number_; }

   private:
    Interpreter& in_;
    const uint64_t number_;
  };

  // interpreter.cc
  Result<Flow> RunBlock(const Block& block);
  Result<Flow> RunStatement(const Stmt& stmt);
  Status Print(const Value& value);
  Status Emit(std::string_view text);
  Result<Flow> RunIf(const Stmt& stmt);
  Result<Flow> RunScope(const Stmt& stmt);
  Status RunSetBlock(const Stmt& stmt);
  Status RunFilterBlock(const Stmt& stmt);
  Result<std::string> Capture(const std::function<Result<Flow>()>& body);
  Status Assign(const std::vector<std::string>& targets, const Value& value);
  Status AssignOne(const std::string& target, Value value);
  // Puts the position before the message, once.
  tl::unexpected<Error> At(Position at, Error error);

  // loops.cc
  Result<Flow> RunFor(const Stmt& stmt);
  Result<Flow> RunLoop(const Stmt& stmt, const Value& value, LoopState state);
  Result<ListPtr> LoopItems(const Stmt& stmt, const Value& value);
  Result<Value> CallLoop(const LoopState& loop, const Arguments& arguments);

  // macros.cc
  Status RunCallBlock(const Stmt& stmt);
  Result<Value> CallMacro(const Callable& called, const Arguments& arguments);
  Status BindMacro(const Stmt& macro, const Arguments& arguments);
  Result<Scope*> FindScope(uint64_t number);

  // expressions.cc
  Result<Value> Eval(const Expr& expr);
  Result<Value> EvalKind(const Expr& expr);
  Result<Value> Lookup(const std::string& name);
  Result<Value> EvalList(const Expr& expr);
  Result<Value> EvalDict(const Expr& expr);
  Result<Value> EvalUnary(const Expr& expr);
  Result<Value> EvalBinary(const Expr& expr);
  Result<Value> EvalCompare(const Expr& expr);
  Result<bool> CompareBy(const std::string& op, const Value& a, const Value& b);
  Result<Value> EvalConcat(const Expr& expr);
  Result<Value> EvalConditional(const Expr& expr);
  Result<Value> EvalSlice(const Expr& expr);
  Result<Value> EvalCall(const Expr& expr, const Value* caller = nullptr);
  Result<Value> EvalFilter(const Expr& expr, const Value& subject);
  Result<Value> FilterChain(const Expr* filter, Value subject);
  Result<Value> EvalTest(const Expr& expr);
  Result<Arguments> EvalArguments(const Expr& expr);

  const RenderOptions& options_;
  uint64_t steps_ = 0;
  uint64_t bytes_ = 0;
  int depth_ = 0;
  bool located_ = false;  // the error on its way has its position
  Scope globals_;         // of the template; macros see these and their own
  Scope* scope_ = &globals_;
  std::map<uint64_t, Scope*> open_scopes_;
  uint64_t last_open_ = 0;
  std::string* out_ = nullptr;
  std::vector<std::unique_ptr<Namespace>> namespaces_;
};

}  // namespace llmrun::jinja
