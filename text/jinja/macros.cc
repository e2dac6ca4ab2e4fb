// Macros, and the blocks that are given to them by `call`.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/interpreter.h"

namespace llmrun::jinja {

Result<Interpreter::Scope*> Interpreter::FindScope(uint64_t number) {
  const auto found = open_scopes_.find(number);
  if (found != open_scopes_.end()) return found->second;
  return MakeError(ErrorCode::kBadData, "this is called behind the end of the block it is of");
}

// The body is a macro that sees what stands around it; the macro that is called has its name.
Status Interpreter::RunCallBlock(const Stmt& stmt) {
  const OpenScope open(*this);
  const Value caller(Value::Data(std::make_shared<const Callable>(
      Callable{.name = "caller", .macro = &stmt, .scope = open.number()})));
  ASSIGN_OR_RETURN(const Value value, EvalCall(*stmt.value, &caller));
  return Print(value);
}

Result<Value> Interpreter::CallMacro(const Callable& called, const Arguments& arguments) {
  Scope* parent = &globals_;
  if (called.scope != 0) {
    ASSIGN_OR_RETURN(parent, FindScope(called.scope));
  }
  const InScope scope(*this, parent);
  RETURN_IF_ERROR(BindMacro(*called.macro, arguments));
  ASSIGN_OR_RETURN(std::string text,
                   Capture([&] { return RunBlock(called.macro->branches[0].body); }));
  return NewText(std::move(text));
}

Status Interpreter::BindMacro(const Stmt& macro, const Arguments& arguments) {
  const size_t count = macro.targets.size();
  const std::string what = macro.kind == StmtKind::kMacro ? macro.name : "caller";
  if (arguments.values.size() > count) {
    return MakeError(ErrorCode::kBadData, "macro '{}' takes at most {} values, {} were given", what,
                     count, arguments.values.size());
  }
  Value caller = Value::Missing("there is no call block around this, and so no 'caller'");
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::ranges::find(macro.targets, name);
    if (found == macro.targets.end() && name == "caller" && macro.uses_caller) {
      caller = value;
    } else if (found == macro.targets.end() ||
               found - macro.targets.begin() <
                   static_cast<std::ptrdiff_t>(arguments.values.size())) {
      return MakeError(ErrorCode::kBadData, "macro '{}' takes no '{}' beside the other values",
                       what, name);
    }
  }
  if (macro.uses_caller) scope_->values.insert_or_assign("caller", std::move(caller));
  const size_t first_default = count - macro.defaults.size();
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = macro.targets[i];
    Value value = Value::Missing(fmt::format("parameter '{}' was not provided", name));
    if (const Value* given = arguments.Find(i, name)) {
      value = *given;
    } else if (i >= first_default) {
      ASSIGN_OR_RETURN(value, Eval(*macro.defaults[i - first_default]));
    }
    scope_->values.insert_or_assign(name, std::move(value));
  }
  return {};
}

}  // namespace llmrun::jinja
