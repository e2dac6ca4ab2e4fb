// How templates get at what values hold: attributes, elements, and what a loop sees of them.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/interpreter.h"

namespace llmrun::jinja {
namespace {

Value LoopAttribute(const LoopState& loop, std::string_view name) {
  const std::vector<Value>& items = loop.items->items;
  const size_t i = loop.index;
  if (name == "index") return Value::Of(i + 1);
  if (name == "index0") return Value::Of(i);
  if (name == "revindex") return Value::Of(items.size() - i);
  if (name == "revindex0") return Value::Of(items.size() - i - 1);
  if (name == "first") return Value::Of(i == 0);
  if (name == "last") return Value::Of(i + 1 == items.size());
  if (name == "length") return Value::Of(items.size());
  if (name == "depth") return Value::Of(int64_t{loop.depth});
  if (name == "depth0") return Value::Of(int64_t{loop.depth} - 1);
  if (name == "previtem") {
    return i > 0 ? items[i - 1] : Value::Missing("there is no previous item");
  }
  if (name == "nextitem") {
    return i + 1 < items.size() ? items[i + 1] : Value::Missing("there is no next item");
  }
  return Value::Missing(fmt::format("'loop' has no attribute '{}'", name));
}

Value MissingOf(const Value& value, std::string_view name) {
  return Value::Missing(fmt::format("'{}' has no attribute '{}'", value.TypeName(), name));
}

Value Element(const std::vector<Value>& items, int64_t index) {
  const auto size = static_cast<int64_t>(items.size());
  const int64_t at = index < 0 ? index + size : index;
  if (at >= 0 && at < size) return items[static_cast<size_t>(at)];
  return Value::Missing(fmt::format("there is no element {} of {}", index, size));
}

}  // namespace

Result<Value> Interpreter::Attribute(const Value& value, const std::string& name) {
  if (value.is_undefined()) return MakeError(ErrorCode::kBadData, "{}", value.What());
  if (Namespace* space = value.name_space()) {
    RETURN_IF_ERROR(Charge(space->items.size() / 8));
    const Value* found = space->Find(name);
    return found != nullptr ? *found : MissingOf(value, name);
  }
  if (FindMethod(value, name) != nullptr) {
    return Value(
        Value::Data(std::make_shared<const Callable>(Callable{.name = name, .self = value})));
  }
  if (const LoopState* loop = value.loop()) return LoopAttribute(*loop, name);
  const List* list = value.list();
  if (list != nullptr && list->is_group && (name == "grouper" || name == "list")) {
    return list->items[name == "grouper" ? 0 : 1];
  }
  if (const Dict* dict = value.dict()) {
    RETURN_IF_ERROR(Charge(dict->items.size() / 8));
    if (const Value* found = dict->Find(name)) return *found;
  }
  return MissingOf(value, name);
}

Result<Value> Interpreter::Item(const Value& value, const Value& key) {
  if (value.is_undefined()) return MakeError(ErrorCode::kBadData, "{}", value.What());
  if (const Dict* dict = value.dict()) {
    RETURN_IF_ERROR(Charge(dict->items.size() / 8));
    if (const Value* found = dict->Find(key)) return *found;
  }
  if (const std::string* name = key.string()) return Attribute(value, *name);
  if (key.is_int() || key.is_bool()) {
    if (const List* list = value.list()) return Element(list->items, key.AsInt());
    if (value.string() != nullptr) {
      ASSIGN_OR_RETURN(const ListPtr items, ItemsOf(value));
      return Element(items->items, key.AsInt());
    }
  }
  return Value::Missing(fmt::format("'{}' has no such element", value.TypeName()));
}

Result<ListPtr> Interpreter::ItemsOf(const Value& value) {
  if (const auto* list = std::get_if<ListPtr>(&value.data())) {
    RETURN_IF_ERROR(Charge((*list)->items.size() / 8));
    return *list;
  }
  std::vector<Value> items;
  if (const std::string* text = value.string()) {
    RETURN_IF_ERROR(Charge(text->size()));
    for (const std::string_view character : Characters(*text)) {
      items.push_back(Value::Of(std::string(character)));
    }
  } else if (const Dict* dict = value.dict()) {
    for (const auto& [key, item] : dict->items) items.push_back(key);
  } else if (!value.is_undefined()) {
    return MakeError(ErrorCode::kBadData, "cannot iterate over a value of type {}",
                     value.TypeName());
  }
  ASSIGN_OR_RETURN(const Value list, NewList(std::move(items)));
  return std::get<ListPtr>(list.data());
}

Result<bool> Interpreter::AreEqual(const Value& a, const Value& b) {
  RETURN_IF_ERROR(Charge(std::min(a.extent().weight, b.extent().weight) / 8));
  return Equal(a, b);
}

Result<bool> Interpreter::Contains(const Value& whole, const Value& part) {
  RETURN_IF_ERROR(Charge(whole.extent().weight / 8));
  if (const std::string* text = whole.string()) {
    if (part.string() == nullptr) {
      return MakeError(ErrorCode::kBadData, "'in' a string: expected a string before it, found {}",
                       part.TypeName());
    }
    return text->find(*part.string()) != text->npos;
  }
  if (const Dict* dict = whole.dict()) return dict->Find(part) != nullptr;
  ASSIGN_OR_RETURN(const ListPtr items, ItemsOf(whole));
  return std::ranges::any_of(items->items, [&](const Value& item) { return Equal(item, part); });
}

Result<Value> Interpreter::ApplyFilter(const std::string& name, const Value& value,
                                       const Arguments& arguments) {
  const Builtin filter = FindFilter(name);
  if (filter == nullptr) {
    return MakeError(ErrorCode::kBadData, "there is no filter '{}'", name);
  }
  return filter(*this, value, arguments);
}

Result<bool> Interpreter::ApplyTest(const std::string& name, const Value& value,
                                    const Arguments& arguments) {
  const Builtin test = FindBuiltin(Tests(), name);
  if (test == nullptr) return MakeError(ErrorCode::kBadData, "there is no test '{}'", name);
  ASSIGN_OR_RETURN(const Value holds, test(*this, value, arguments));
  return holds.IsTrue();
}

}  // namespace llmrun::jinja
