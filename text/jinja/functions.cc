// Functions of templates.
#include <ctime>

#include "text/jinja/builtins.h"

namespace llmrun::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;

Result<Value> RangeFunction(Interpreter& in, const Value&, const Arguments& arguments) {
  const size_t count = arguments.values.size();
  if (count < 1 || count > 3 || !arguments.named.empty()) {
    return MakeError(ErrorCode::kBadData, "range: expected 1 to 3 whole numbers");
  }
  ASSIGN_OR_RETURN(const int64_t first, IntArgument(arguments, 0, "start", 0));
  ASSIGN_OR_RETURN(const int64_t second, IntArgument(arguments, 1, "stop", 0));
  ASSIGN_OR_RETURN(const int64_t step, IntArgument(arguments, 2, "step", 1));
  const int64_t begin = count == 1 ? 0 : first;
  const int64_t end = count == 1 ? first : second;
  if (step == 0) return MakeError(ErrorCode::kBadData, "range: the step cannot be 0");
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) == kMaxRange) {
      return MakeError(ErrorCode::kResource, "range of more than {} numbers", kMaxRange);
    }
    items.push_back(Value::Of(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return in.NewList(std::move(items));
}

Result<Value> NamespaceFunction(Interpreter& in, const Value&, const Arguments& arguments) {
  Arguments attributes = arguments;
  for (const Value& value : arguments.values) {
    const Dict* dict = value.dict();
    if (dict == nullptr) {
      return MakeError(ErrorCode::kBadData, "namespace: expected name=value or a dictionary");
    }
    for (const auto& [key, item] : dict->items) {
      if (key.string() != nullptr) attributes.named.emplace_back(*key.string(), item);
    }
  }
  return in.NewNamespace(attributes);
}

Status SetKey(Interpreter& in, const Value& key, const Value& value,
              std::vector<std::pair<Value, Value>>* items) {
  RETURN_IF_ERROR(in.Charge(1 + items->size()));
  RETURN_IF_ERROR(in.ChargeBytes(64));
  for (auto& [held, old] : *items) {
    if (!Equal(held, key)) continue;
    old = value;
    return {};
  }
  items->emplace_back(key, value);
  return {};
}

Result<Value> DictFunction(Interpreter& in, const Value&, const Arguments& arguments) {
  std::vector<std::pair<Value, Value>> items;
  for (const Value& value : arguments.values) {
    if (const Dict* dict = value.dict()) {
      for (const auto& [key, item] : dict->items) RETURN_IF_ERROR(SetKey(in, key, item, &items));
      continue;
    }
    ASSIGN_OR_RETURN(const ListPtr pairs, in.ItemsOf(value));
    for (const Value& pair : pairs->items) {
      ASSIGN_OR_RETURN(const ListPtr both, in.ItemsOf(pair));
      if (both->items.size() != 2) {
        return MakeError(ErrorCode::kBadData, "dict: expected pairs of key and value");
      }
      RETURN_IF_ERROR(SetKey(in, both->items[0], both->items[1], &items));
    }
  }
  for (const auto& [name, value] : arguments.named) {
    RETURN_IF_ERROR(SetKey(in, Value::Of(name), value, &items));
  }
  return MakeDict(std::move(items));
}

Result<Value> RaiseException(Interpreter& in, const Value&, const Arguments& arguments) {
  std::string message = "(no reason given)";
  if (!arguments.values.empty()) {
    ASSIGN_OR_RETURN(message, in.TextOf(arguments.values[0]));
  }
  return MakeError(ErrorCode::kUsage, "the template refuses: {}", message);
}

Result<Value> StrftimeNow(Interpreter& in, const Value&, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string format, TextArgument(arguments, 0, "format", ""));
  char text[512];
  const size_t bytes = std::strftime(text, sizeof text, format.c_str(), &in.now());
  return in.NewText(std::string(text, bytes));
}

}  // namespace

const BuiltinTable& Functions() {
  static const BuiltinTable table = {
      {"dict", DictFunction},
      {"namespace", NamespaceFunction},
      {"raise_exception", RaiseException},
      {"range", RangeFunction},
      {"strftime_now", StrftimeNow},
  };
  return table;
}

}  // namespace llmrun::jinja
