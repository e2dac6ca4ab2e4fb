#include "text/jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "text/jinja/json.h"

namespace llmrun::jinja {

namespace {

constexpr uint64_t kValueBytes = 32;

}  // namespace

const Value* Arguments::Find(size_t index, std::string_view name) const {
  if (index < values.size()) return &values[index];
  for (const auto& [given, value] : named) {
    if (given == name) return &value;
  }
  return nullptr;
}

Result<std::string> Interpreter::Run(const Block& block, const Dict& context) {
  for (const auto& [name, value] : context.items) {
    if (name.string() != nullptr) globals_.values.insert_or_assign(*name.string(), value);
  }
  std::string out;
  out_ = &out;
  RETURN_IF_ERROR(RunBlock(block));
  return out;
}

Status Interpreter::Charge(uint64_t steps) {
  steps_ += std::min(steps, options_.max_steps + 1);
  if (steps_ <= options_.max_steps) return {};
  return MakeError(ErrorCode::kResource, "the template takes more than {} steps",
                   options_.max_steps);
}

Status Interpreter::ChargeBytes(uint64_t bytes) {
  bytes_ += std::min(bytes, options_.max_memory_bytes + 1);
  if (bytes_ <= options_.max_memory_bytes) return {};
  return MakeError(ErrorCode::kResource, "the template makes more than {} bytes of text and lists",
                   options_.max_memory_bytes);
}

Result<Value> Interpreter::NewText(std::string text) {
  RETURN_IF_ERROR(ChargeBytes(kValueBytes + text.size()));
  return Value::Of(std::move(text));
}

Result<Value> Interpreter::NewList(std::vector<Value> items, bool is_tuple) {
  RETURN_IF_ERROR(Charge(items.size()));
  RETURN_IF_ERROR(ChargeBytes(kValueBytes * (1 + items.size())));
  return MakeList(std::move(items), is_tuple);
}

Result<Value> Interpreter::NewGroup(Value grouper, std::vector<Value> items) {
  ASSIGN_OR_RETURN(Value list, NewList(std::move(items)));
  ASSIGN_OR_RETURN(const Value tuple, NewList({std::move(grouper), std::move(list)}, true));
  List group = *tuple.list();
  group.is_group = true;
  return Value(Value::Data(std::make_shared<const List>(std::move(group))));
}

Result<Value> Interpreter::NewNamespace(const Arguments& attributes) {
  RETURN_IF_ERROR(ChargeBytes(kValueBytes * (1 + attributes.named.size())));
  namespaces_.push_back(std::make_unique<Namespace>(Namespace{attributes.named}));
  return Value(Value::Data(namespaces_.back().get()));
}

Result<std::string> Interpreter::TextOf(const Value& value) {
  ASSIGN_OR_RETURN(std::string text, ToText(value, options_.max_output_bytes));
  RETURN_IF_ERROR(ChargeBytes(text.size()));
  return text;
}

Result<std::string> Interpreter::JsonOf(const Value& value, const JsonStyle& style) {
  ASSIGN_OR_RETURN(std::string text, ToJson(value, style, options_.max_output_bytes));
  RETURN_IF_ERROR(ChargeBytes(text.size()));
  return text;
}

tl::unexpected<Error> Interpreter::At(Position at, Error error) {
  if (!located_) error.message = fmt::format("{}:{}: {}", at.line, at.column, error.message);
  located_ = true;
  return tl::unexpected<Error>(std::move(error));
}

Result<Interpreter::Flow> Interpreter::RunBlock(const Block& block) {
  for (const auto& stmt : block) {
    Result<Flow> flow = RunStatement(*stmt);
    if (!flow) return At(stmt->at, std::move(flow).error());
    if (*flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::RunStatement(const Stmt& stmt) {
  const Level level(&depth_);
  if (depth_ > kMaxCallDepth) {
    return MakeError(ErrorCode::kResource, "calls nested more than {} deep", kMaxCallDepth);
  }
  RETURN_IF_ERROR(Charge(1));
  Status status;
  switch (stmt.kind) {
    case StmtKind::kText:
      status = Emit(stmt.name);
      break;
    case StmtKind::kPrint: {
      ASSIGN_OR_RETURN(const Value value, Eval(*stmt.value));
      status = Print(value);
      break;
    }
    case StmtKind::kIf:
      return RunIf(stmt);
    case StmtKind::kFor:
      return RunFor(stmt);
    case StmtKind::kScope:
      return RunScope(stmt);
    case StmtKind::kSet: {
      ASSIGN_OR_RETURN(const Value value, Eval(*stmt.value));
      status = Assign(stmt.targets, value);
      break;
    }
    case StmtKind::kDo:
      RETURN_IF_ERROR(Eval(*stmt.value));
      break;
    case StmtKind::kSetBlock:
      status = RunSetBlock(stmt);
      break;
    case StmtKind::kMacro:
      scope_->values.insert_or_assign(stmt.name,
                                      Value(Value::Data(std::make_shared<const Callable>(
                                          Callable{.name = stmt.name, .macro = &stmt}))));
      break;
    case StmtKind::kCallBlock:
      status = RunCallBlock(stmt);
      break;
    case StmtKind::kFilter:
      status = RunFilterBlock(stmt);
      break;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  RETURN_IF_ERROR(status);
  return Flow::kNext;
}

Status Interpreter::Print(const Value& value) {
  if (const std::string* text = value.string()) return Emit(*text);
  ASSIGN_OR_RETURN(const std::string text, TextOf(value));
  return Emit(text);
}

Status Interpreter::Emit(std::string_view text) {
  if (text.size() > options_.max_output_bytes - std::min(out_->size(), options_.max_output_bytes)) {
    return MakeError(ErrorCode::kResource, "the template writes more than {} bytes",
                     options_.max_output_bytes);
  }
  RETURN_IF_ERROR(ChargeBytes(text.size()));
  *out_ += text;
  return {};
}

Result<Interpreter::Flow> Interpreter::RunIf(const Stmt& stmt) {
  for (const Branch& branch : stmt.branches) {
    if (branch.condition != nullptr) {
      ASSIGN_OR_RETURN(const Value condition, Eval(*branch.condition));
      if (!condition.IsTrue()) continue;
    }
    return RunBlock(branch.body);
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::RunScope(const Stmt& stmt) {
  std::vector<Value> values;
  for (const ExprPtr& expr : stmt.defaults) {
    ASSIGN_OR_RETURN(Value value, Eval(*expr));
    values.push_back(std::move(value));
  }
  const InScope scope(*this);
  for (size_t i = 0; i < values.size(); ++i) {
    RETURN_IF_ERROR(AssignOne(stmt.targets[i], std::move(values[i])));
  }
  return RunBlock(stmt.branches[0].body);
}

Result<std::string> Interpreter::Capture(const std::function<Result<Flow>()>& body) {
  std::string captured;
  std::string* const outer = out_;
  out_ = &captured;
  const InScope scope(*this);
  const Result<Flow> flow = body();
  out_ = outer;
  RETURN_IF_ERROR(flow);
  return captured;
}

Status Interpreter::RunSetBlock(const Stmt& stmt) {
  ASSIGN_OR_RETURN(std::string text, Capture([&] { return RunBlock(stmt.branches[0].body); }));
  ASSIGN_OR_RETURN(Value value, FilterChain(stmt.value.get(), Value::Of(std::move(text))));
  return AssignOne(stmt.targets[0], std::move(value));
}

Status Interpreter::RunFilterBlock(const Stmt& stmt) {
  ASSIGN_OR_RETURN(std::string text, Capture([&] { return RunBlock(stmt.branches[0].body); }));
  ASSIGN_OR_RETURN(const Value value, FilterChain(stmt.value.get(), Value::Of(std::move(text))));
  return Print(value);
}

Status Interpreter::Assign(const std::vector<std::string>& targets, const Value& value) {
  if (targets.size() == 1) return AssignOne(targets[0], value);
  ASSIGN_OR_RETURN(const ListPtr items, ItemsOf(value));
  if (items->items.size() != targets.size()) {
    return MakeError(ErrorCode::kBadData, "expected {} values to unpack, found {}", targets.size(),
                     items->items.size());
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    RETURN_IF_ERROR(AssignOne(targets[i], items->items[i]));
  }
  return {};
}

Status Interpreter::AssignOne(const std::string& target, Value value) {
  const size_t dot = target.find('.');
  if (dot == target.npos) {
    scope_->values.insert_or_assign(target, std::move(value));
    return {};
  }
  ASSIGN_OR_RETURN(const Value owner, Lookup(target.substr(0, dot)));
  Namespace* space = owner.name_space();
  if (space == nullptr) {
    return MakeError(ErrorCode::kBadData,
                     "cannot set '{}': expected a namespace(), found a value of type {}", target,
                     owner.TypeName());
  }
  const std::string name = target.substr(dot + 1);
  if (Value* held = space->Find(name)) {
    *held = std::move(value);
  } else {
    RETURN_IF_ERROR(ChargeBytes(kValueBytes));
    space->items.emplace_back(name, std::move(value));
  }
  return {};
}

}  // namespace llmrun::jinja
