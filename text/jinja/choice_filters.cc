// Filters that apply another filter or a test to each element.
#include "text/jinja/builtins.h"

namespace llmrun::jinja {
namespace {

// The name at `index` and what stands behind it: the arguments of that filter or test.
struct Inner {
  std::string name;
  Arguments arguments;
};
Result<Inner> InnerAt(const Arguments& arguments, size_t index) {
  Inner inner;
  ASSIGN_OR_RETURN(inner.name, TextArgument(arguments, index, "", ""));
  const auto behind = arguments.values.begin() + static_cast<std::ptrdiff_t>(index) + 1;
  inner.arguments = {{behind, arguments.values.end()}, arguments.named};
  return inner;
}

// Elements that are true or of which the test holds, or with kReject the others; by attribute: of
// their attribute that the first argument names.
template <bool kReject, bool kByAttribute>
Result<Value> Select(Interpreter& in, const Value& self, const Arguments& arguments) {
  constexpr size_t kTestAt = kByAttribute ? 1 : 0;
  if (kByAttribute && arguments.values.empty()) {
    return MakeError(ErrorCode::kBadData, "expected the name of an attribute");
  }
  Inner test;
  const bool has_test = arguments.values.size() > kTestAt;
  if (has_test) {
    ASSIGN_OR_RETURN(test, InnerAt(arguments, kTestAt));
  }
  ASSIGN_OR_RETURN(const ListPtr items, in.ItemsOf(self));
  std::vector<Value> kept;
  for (const Value& item : items->items) {
    RETURN_IF_ERROR(in.Charge(1));
    Value key = item;
    if (kByAttribute) {
      ASSIGN_OR_RETURN(key, AttributePath(in, item, arguments.values[0]));
    }
    bool holds = key.IsTrue();
    if (has_test) {
      ASSIGN_OR_RETURN(holds, in.ApplyTest(test.name, key, test.arguments));
    }
    if (holds != kReject) kept.push_back(item);
  }
  return in.NewList(std::move(kept));
}

Result<Value> Map(Interpreter& in, const Value& self, const Arguments& arguments) {
  const Value* attribute = arguments.values.empty() ? arguments.Find(0, "attribute") : nullptr;
  const Value* fallback = arguments.Find(arguments.values.size(), "default");
  Inner filter;
  if (attribute == nullptr) {
    if (arguments.values.empty()) {
      return MakeError(ErrorCode::kBadData, "map: expected a filter or attribute=");
    }
    ASSIGN_OR_RETURN(filter, InnerAt(arguments, 0));
  }
  ASSIGN_OR_RETURN(const ListPtr items, in.ItemsOf(self));
  std::vector<Value> mapped;
  for (const Value& item : items->items) {
    RETURN_IF_ERROR(in.Charge(1));
    Result<Value> result = attribute != nullptr
                               ? AttributePath(in, item, *attribute)
                               : in.ApplyFilter(filter.name, item, filter.arguments);
    RETURN_IF_ERROR(result);
    if (attribute != nullptr && fallback != nullptr && result->is_undefined()) result = *fallback;
    mapped.push_back(*std::move(result));
  }
  return in.NewList(std::move(mapped));
}

Result<Value> Attr(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string name, TextArgument(arguments, 0, "name", ""));
  return in.Attribute(self, name);
}

}  // namespace

const BuiltinTable& ChoiceFilters() {
  static const BuiltinTable table = {
      {"attr", Attr},
      {"map", Map},
      {"reject", Select<true, false>},
      {"rejectattr", Select<true, true>},
      {"select", Select<false, false>},
      {"selectattr", Select<false, true>},
  };
  return table;
}

}  // namespace llmrun::jinja
