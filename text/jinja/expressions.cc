// Expressions of templates, evaluated.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/jinja/builtins.h"
#include "text/jinja/interpreter.h"

namespace llmrun::jinja {

Result<Value> Interpreter::Eval(const Expr& expr) {
  const Level level(&depth_);
  Status ok = Charge(1);
  if (depth_ > kMaxCallDepth) {
    ok = MakeError(ErrorCode::kResource, "calls nested more than {} deep", kMaxCallDepth);
  }
  if (!ok) return At(expr.at, std::move(ok).error());
  Result<Value> value = EvalKind(expr);
  if (!value) return At(expr.at, std::move(value).error());
  return value;
}

Result<Value> Interpreter::EvalKind(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kLiteral:
      return expr.literal;
    case ExprKind::kName:
      return Lookup(expr.name);
    case ExprKind::kList:
    case ExprKind::kTuple:
      return EvalList(expr);
    case ExprKind::kDict:
      return EvalDict(expr);
    case ExprKind::kUnary:
      return EvalUnary(expr);
    case ExprKind::kBinary:
      return EvalBinary(expr);
    case ExprKind::kCompare:
      return EvalCompare(expr);
    case ExprKind::kConcat:
      return EvalConcat(expr);
    case ExprKind::kConditional:
      return EvalConditional(expr);
    case ExprKind::kSlice:
      return EvalSlice(expr);
    case ExprKind::kCall:
      return EvalCall(expr);
    case ExprKind::kTest:
      return EvalTest(expr);
    case ExprKind::kAttribute:
    case ExprKind::kItem:
    case ExprKind::kFilter:
      break;
  }
  ASSIGN_OR_RETURN(const Value value, Eval(*expr.parts[0]));
  if (expr.kind == ExprKind::kAttribute) return Attribute(value, expr.name);
  if (expr.kind == ExprKind::kFilter) return EvalFilter(expr, value);
  ASSIGN_OR_RETURN(const Value key, Eval(*expr.parts[1]));
  return Item(value, key);
}

Result<Value> Interpreter::Lookup(const std::string& name) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    RETURN_IF_ERROR(Charge(1));
    const auto found = scope->values.find(name);
    if (found != scope->values.end()) return found->second;
  }
  if (FindBuiltin(Functions(), name) != nullptr) {
    return Value(Value::Data(std::make_shared<const Callable>(Callable{.name = name})));
  }
  return Value::Missing(fmt::format("'{}' is undefined", name));
}

Result<Value> Interpreter::EvalList(const Expr& expr) {
  std::vector<Value> items;
  for (const ExprPtr& part : expr.parts) {
    ASSIGN_OR_RETURN(Value item, Eval(*part));
    items.push_back(std::move(item));
  }
  return NewList(std::move(items), expr.kind == ExprKind::kTuple);
}

Result<Value> Interpreter::EvalDict(const Expr& expr) {
  std::vector<std::pair<Value, Value>> items;
  for (size_t i = 0; i < expr.parts.size(); i += 2) {
    RETURN_IF_ERROR(Charge(items.size()));
    ASSIGN_OR_RETURN(Value key, Eval(*expr.parts[i]));
    ASSIGN_OR_RETURN(Value value, Eval(*expr.parts[i + 1]));
    const auto same =
        std::ranges::find_if(items, [&](const auto& item) { return Equal(item.first, key); });
    if (same != items.end()) {
      same->second = std::move(value);
    } else {
      items.emplace_back(std::move(key), std::move(value));
    }
  }
  RETURN_IF_ERROR(ChargeBytes(64 * items.size()));
  return MakeDict(std::move(items));
}

Result<Value> Interpreter::EvalUnary(const Expr& expr) {
  ASSIGN_OR_RETURN(const Value value, Eval(*expr.parts[0]));
  if (expr.name == "not") return Value::Of(!value.IsTrue());
  if (!value.is_number()) {
    return MakeError(ErrorCode::kBadData, "'{}' of a value of type {}", expr.name,
                     value.TypeName());
  }
  if (value.is_float()) return Value::Of(expr.name == "-" ? -value.AsDouble() : value.AsDouble());
  return Binary(expr.name, Value::Of(int64_t{0}), value);
}

Result<Value> Interpreter::EvalBinary(const Expr& expr) {
  ASSIGN_OR_RETURN(Value left, Eval(*expr.parts[0]));
  if (expr.name == "and" && !left.IsTrue()) return left;
  if (expr.name == "or" && left.IsTrue()) return left;
  ASSIGN_OR_RETURN(Value right, Eval(*expr.parts[1]));
  if (expr.name == "and" || expr.name == "or") return right;
  return Binary(expr.name, left, right);
}

Result<Value> Interpreter::EvalCompare(const Expr& expr) {
  ASSIGN_OR_RETURN(Value left, Eval(*expr.parts[0]));
  for (size_t i = 0; i < expr.names.size(); ++i) {
    ASSIGN_OR_RETURN(Value right, Eval(*expr.parts[i + 1]));
    ASSIGN_OR_RETURN(const bool holds, CompareBy(expr.names[i], left, right));
    if (!holds) return Value::Of(false);
    left = std::move(right);
  }
  return Value::Of(true);
}

Result<bool> Interpreter::CompareBy(const std::string& op, const Value& a, const Value& b) {
  if (op == "==" || op == "!=") {
    ASSIGN_OR_RETURN(const bool equal, AreEqual(a, b));
    return equal == (op == "==");
  }
  if (op == "in" || op == "not in") {
    ASSIGN_OR_RETURN(const bool contains, Contains(b, a));
    return contains == (op == "in");
  }
  RETURN_IF_ERROR(Charge(std::min(a.extent().weight, b.extent().weight)));
  ASSIGN_OR_RETURN(const int order, Compare(a, b));
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

Result<Value> Interpreter::EvalConcat(const Expr& expr) {
  std::string text;
  for (const ExprPtr& part : expr.parts) {
    ASSIGN_OR_RETURN(const Value value, Eval(*part));
    ASSIGN_OR_RETURN(const std::string piece, TextOf(value));
    text += piece;
  }
  return NewText(std::move(text));
}

Result<Value> Interpreter::EvalConditional(const Expr& expr) {
  ASSIGN_OR_RETURN(const Value condition, Eval(*expr.parts[0]));
  if (condition.IsTrue()) return Eval(*expr.parts[1]);
  if (expr.parts[2] != nullptr) return Eval(*expr.parts[2]);
  return Value::Missing("the condition was false and there is no 'else'");
}

Result<Value> Interpreter::EvalSlice(const Expr& expr) {
  ASSIGN_OR_RETURN(const Value whole, Eval(*expr.parts[0]));
  const bool is_text = whole.string() != nullptr;
  if (!is_text && whole.list() == nullptr) {
    return MakeError(ErrorCode::kBadData, "cannot slice {}",
                     whole.is_undefined() ? whole.What() : whole.TypeName());
  }
  ASSIGN_OR_RETURN(const ListPtr items, ItemsOf(whole));
  const auto size = static_cast<int64_t>(items->items.size());
  int64_t bounds[3] = {0, 0, 1};  // begin, end, step
  bool given[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    if (expr.parts[i + 1] == nullptr) continue;
    ASSIGN_OR_RETURN(const Value bound, Eval(*expr.parts[i + 1]));
    if (bound.is_none()) continue;
    if (!bound.is_int() && !bound.is_bool()) {
      return MakeError(ErrorCode::kBadData, "expected whole numbers in a slice, found {}",
                       bound.TypeName());
    }
    bounds[i] = std::clamp<int64_t>(bound.AsInt(), -size - 1, size + 1);
    given[i] = true;
  }
  const int64_t step = bounds[2];
  if (step == 0) return MakeError(ErrorCode::kBadData, "the step of a slice cannot be 0");
  const int64_t least = step > 0 ? 0 : -1;
  const int64_t most = step > 0 ? size : size - 1;
  const auto at = [&](int64_t bound) {
    return std::clamp(bound < 0 ? bound + size : bound, least, most);
  };
  const int64_t begin = given[0] ? at(bounds[0]) : step > 0 ? 0 : size - 1;
  const int64_t end = given[1] ? at(bounds[1]) : step > 0 ? size : -1;
  std::vector<Value> kept;
  std::string text;
  for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
    const Value& item = items->items[static_cast<size_t>(i)];
    if (is_text) {
      text += *item.string();
    } else {
      kept.push_back(item);
    }
  }
  if (is_text) return NewText(std::move(text));
  return NewList(std::move(kept), whole.list()->is_tuple);
}

Result<Arguments> Interpreter::EvalArguments(const Expr& expr) {
  Arguments arguments;
  const size_t first_named = expr.parts.size() - expr.names.size();
  for (size_t i = 1; i < expr.parts.size(); ++i) {
    ASSIGN_OR_RETURN(Value value, Eval(*expr.parts[i]));
    if (i < first_named) {
      arguments.values.push_back(std::move(value));
    } else {
      arguments.named.emplace_back(expr.names[i - first_named], std::move(value));
    }
  }
  return arguments;
}

// `caller`: of a call block; null: none.
Result<Value> Interpreter::EvalCall(const Expr& expr, const Value* caller) {
  ASSIGN_OR_RETURN(const Value callee, Eval(*expr.parts[0]));
  const Callable* called = callee.callable();
  const LoopState* loop = callee.loop();
  if (called == nullptr && loop == nullptr) {
    return MakeError(ErrorCode::kBadData, "cannot call {}",
                     callee.is_undefined() ? callee.What()
                                           : fmt::format("a value of type {}", callee.TypeName()));
  }
  ASSIGN_OR_RETURN(Arguments arguments, EvalArguments(expr));
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  if (loop != nullptr) return CallLoop(*loop, arguments);
  if (called->macro != nullptr) return CallMacro(*called, arguments);
  if (caller != nullptr) {
    return MakeError(ErrorCode::kBadData, "'call' of '{}', which is no macro", called->name);
  }
  const Builtin builtin = called->self.is_undefined() ? FindBuiltin(Functions(), called->name)
                                                      : FindMethod(called->self, called->name);
  return builtin(*this, called->self, arguments);
}

Result<Value> Interpreter::EvalFilter(const Expr& expr, const Value& subject) {
  ASSIGN_OR_RETURN(const Arguments arguments, EvalArguments(expr));
  return ApplyFilter(expr.name, subject, arguments);
}

// Filters behind each other, the first of which has no value of its own; null: none.
Result<Value> Interpreter::FilterChain(const Expr* filter, Value subject) {
  if (filter == nullptr) return subject;
  const Level level(&depth_);
  if (filter->kind != ExprKind::kFilter) {
    return MakeError(ErrorCode::kBadData, "expected filters only");
  }
  ASSIGN_OR_RETURN(subject, FilterChain(filter->parts[0].get(), std::move(subject)));
  return EvalFilter(*filter, subject);
}

Result<Value> Interpreter::EvalTest(const Expr& expr) {
  ASSIGN_OR_RETURN(const Value value, Eval(*expr.parts[0]));
  ASSIGN_OR_RETURN(const Arguments arguments, EvalArguments(expr));
  ASSIGN_OR_RETURN(const bool holds, ApplyTest(expr.name, value, arguments));
  return Value::Of(holds);
}

}  // namespace llmrun::jinja
