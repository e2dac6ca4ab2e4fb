// For statements: their elements, their `loop`, and recursion by calling it.
#include "text/jinja/builtins.h"
#include "text/jinja/interpreter.h"

namespace llmrun::jinja {
namespace {

Result<Value> Cycle(Interpreter&, const Value& self, const Arguments& arguments) {
  if (arguments.values.empty()) {
    return MakeError(ErrorCode::kBadData, "loop.cycle: expected values to choose from");
  }
  return arguments.values[self.loop()->index % arguments.values.size()];
}

// Whether the values are others than at the last call of it in this loop.
Result<Value> Changed(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(Value values, in.NewList(arguments.values, true));
  Namespace*& seen = *self.loop()->changed;
  if (seen == nullptr) {
    ASSIGN_OR_RETURN(const Value made, in.NewNamespace({{}, {{"values", std::move(values)}}}));
    seen = made.name_space();
    return Value::Of(true);
  }
  Value& last = *seen->Find("values");
  ASSIGN_OR_RETURN(const bool equal, in.AreEqual(last, values));
  last = std::move(values);
  return Value::Of(!equal);
}

}  // namespace

const BuiltinTable& LoopMethods() {
  static const BuiltinTable table = {{"changed", Changed}, {"cycle", Cycle}};
  return table;
}

// Those that the loop's filter lets through.
Result<ListPtr> Interpreter::LoopItems(const Stmt& stmt, const Value& value) {
  ASSIGN_OR_RETURN(const ListPtr all, ItemsOf(value));
  if (stmt.filter == nullptr) return all;
  std::vector<Value> items;
  for (const Value& item : all->items) {
    const InScope scope(*this);
    RETURN_IF_ERROR(Assign(stmt.targets, item));
    ASSIGN_OR_RETURN(const Value wanted, Eval(*stmt.filter));
    if (wanted.IsTrue()) items.push_back(item);
  }
  ASSIGN_OR_RETURN(const Value list, NewList(std::move(items)));
  return std::get<ListPtr>(list.data());
}

Result<Interpreter::Flow> Interpreter::RunFor(const Stmt& stmt) {
  ASSIGN_OR_RETURN(const Value value, Eval(*stmt.value));
  if (!stmt.is_recursive) return RunLoop(stmt, value, {});
  const OpenScope open(*this);
  return RunLoop(stmt, value, {.recursive = &stmt, .scope = open.number()});
}

Result<Interpreter::Flow> Interpreter::RunLoop(const Stmt& stmt, const Value& value,
                                               LoopState state) {
  ASSIGN_OR_RETURN(state.items, LoopItems(stmt, value));
  if (state.items->items.empty()) {
    return stmt.branches.size() > 1 ? RunBlock(stmt.branches[1].body) : Flow::kNext;
  }
  state.changed = std::make_shared<Namespace*>(nullptr);
  for (; state.index < state.items->items.size(); ++state.index) {
    RETURN_IF_ERROR(Charge(1));
    const InScope scope(*this);
    scope_->values.emplace("loop", Value(Value::Data(std::make_shared<const LoopState>(state))));
    RETURN_IF_ERROR(Assign(stmt.targets, state.items->items[state.index]));
    ASSIGN_OR_RETURN(const Flow flow, RunBlock(stmt.branches[0].body));
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

// The same loop over the elements of a value, one level deeper; what it writes.
Result<Value> Interpreter::CallLoop(const LoopState& loop, const Arguments& arguments) {
  if (loop.recursive == nullptr) {
    return MakeError(ErrorCode::kBadData, "'loop' is called, but its 'for' is not 'recursive'");
  }
  if (arguments.values.size() != 1 || !arguments.named.empty()) {
    return MakeError(ErrorCode::kBadData, "loop(): expected one value to go through");
  }
  ASSIGN_OR_RETURN(Scope* const parent, FindScope(loop.scope));
  const InScope scope(*this, parent);
  const LoopState deeper = {
      .depth = loop.depth + 1, .recursive = loop.recursive, .scope = loop.scope};
  ASSIGN_OR_RETURN(std::string text,
                   Capture([&] { return RunLoop(*loop.recursive, arguments.values[0], deeper); }));
  return NewText(std::move(text));
}

}  // namespace llmrun::jinja
