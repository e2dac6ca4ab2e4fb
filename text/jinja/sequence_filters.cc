// Filters over lists and dictionaries as wholes.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "text/jinja/builtins.h"
#include "text/jinja/text_case.h"

namespace llmrun::jinja {

Result<int> CompareForSort(const Value& a, const Value& b, bool case_sensitive) {
  if (case_sensitive || a.string() == nullptr || b.string() == nullptr) return Compare(a, b);
  return Lower(*a.string()).compare(Lower(*b.string()));
}

Result<Value> AttributePath(Interpreter& in, const Value& value, const Value& path) {
  if (path.is_int()) return in.Item(value, path);
  if (path.string() == nullptr) {
    return MakeError(ErrorCode::kBadData, "expected the name of an attribute, found a {}",
                     path.TypeName());
  }
  std::string_view rest = *path.string();
  Value at = value;
  while (true) {
    const std::string_view name = rest.substr(0, rest.find('.'));
    int64_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool is_index = error == std::errc() && end == name.data() + name.size();
    ASSIGN_OR_RETURN(at, in.Item(at, is_index ? Value::Of(index) : Value::Of(std::string(name))));
    if (name.size() == rest.size()) return at;
    rest.remove_prefix(name.size() + 1);
  }
}

namespace {

// The elements of `self`, each with the attribute that the argument `attribute` names, or itself.
struct Keyed {
  Value key;
  Value item;
};
Result<std::vector<Keyed>> KeyedItems(Interpreter& in, const Value& self, const Value* attribute) {
  ASSIGN_OR_RETURN(const ListPtr items, in.ItemsOf(self));
  std::vector<Keyed> keyed;
  for (const Value& item : items->items) {
    RETURN_IF_ERROR(in.Charge(1));
    Value key = item;
    if (attribute != nullptr && !attribute->is_none()) {
      ASSIGN_OR_RETURN(key, AttributePath(in, item, *attribute));
    }
    keyed.push_back({std::move(key), item});
  }
  return keyed;
}

// Stable; the first error of a comparison is the error of the whole.
Status SortKeyed(Interpreter& in, std::vector<Keyed>* items, bool case_sensitive, bool reverse) {
  Status status;
  std::ranges::stable_sort(*items, [&](const Keyed& a, const Keyed& b) {
    if (!status) return false;
    const uint64_t cost = 1 + std::min(a.key.extent().weight, b.key.extent().weight);
    if (status = in.Charge(cost); !status) return false;
    const Result<int> order = CompareForSort(a.key, b.key, case_sensitive);
    if (!order) status = tl::unexpected<Error>(order.error());
    return order.has_value() && (reverse ? *order > 0 : *order < 0);
  });
  return status;
}

Result<Value> ItemsOfKeyed(Interpreter& in, const std::vector<Keyed>& keyed) {
  std::vector<Value> items;
  for (const Keyed& each : keyed) items.push_back(each.item);
  return in.NewList(std::move(items));
}

Result<Value> Length(Interpreter&, const Value& self, const Arguments&) {
  if (self.is_undefined()) return Value::Of(int64_t{0});
  if (self.string() != nullptr) return Value::Of(Characters(*self.string()).size());
  if (self.list() != nullptr) return Value::Of(self.list()->items.size());
  if (self.dict() != nullptr) return Value::Of(self.dict()->items.size());
  return MakeError(ErrorCode::kBadData, "a value of type {} has no length", self.TypeName());
}

Result<Value> ListFilter(Interpreter& in, const Value& self, const Arguments&) {
  ASSIGN_OR_RETURN(const ListPtr items, in.ItemsOf(self));
  return in.NewList(items->items);
}

Result<Value> First(Interpreter& in, const Value& self, const Arguments&) {
  ASSIGN_OR_RETURN(const ListPtr items, in.ItemsOf(self));
  if (items->items.empty()) return Value::Missing("there is no first element");
  return items->items.front();
}

Result<Value> Last(Interpreter& in, const Value& self, const Arguments&) {
  ASSIGN_OR_RETURN(const ListPtr items, in.ItemsOf(self));
  if (items->items.empty()) return Value::Missing("there is no last element");
  return items->items.back();
}

Result<Value> Join(Interpreter& in, const Value& self, const Arguments& arguments) {
  const Value* between = arguments.Find(0, "d");
  std::string separator;
  if (between != nullptr) {
    ASSIGN_OR_RETURN(separator, in.TextOf(*between));
  }
  ASSIGN_OR_RETURN(const std::vector<Keyed> items,
                   KeyedItems(in, self, arguments.Find(1, "attribute")));
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string piece, in.TextOf(items[i].key));
    RETURN_IF_ERROR(in.ChargeBytes(separator.size()));
    if (i > 0) text += separator;
    text += piece;
  }
  return in.NewText(std::move(text));
}

Result<Value> Reverse(Interpreter& in, const Value& self, const Arguments&) {
  ASSIGN_OR_RETURN(const ListPtr items, in.ItemsOf(self));
  std::vector<Value> reversed(items->items.rbegin(), items->items.rend());
  if (self.string() == nullptr) return in.NewList(std::move(reversed));
  std::string text;
  for (const Value& character : reversed) text += *character.string();
  return in.NewText(std::move(text));
}

Result<Value> Sort(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const bool reverse, BoolArgument(arguments, 0, "reverse", false));
  ASSIGN_OR_RETURN(const bool case_sensitive, BoolArgument(arguments, 1, "case_sensitive", false));
  ASSIGN_OR_RETURN(std::vector<Keyed> items, KeyedItems(in, self, arguments.Find(2, "attribute")));
  RETURN_IF_ERROR(SortKeyed(in, &items, case_sensitive, reverse));
  return ItemsOfKeyed(in, items);
}

// Those with the same attribute together, in its order: tuples of it and the list of them.
Result<Value> GroupBy(Interpreter& in, const Value& self, const Arguments& arguments) {
  const Value* attribute = arguments.Find(0, "attribute");
  if (attribute == nullptr) {
    return MakeError(ErrorCode::kBadData, "groupby: expected the name of an attribute");
  }
  ASSIGN_OR_RETURN(const bool case_sensitive, BoolArgument(arguments, 2, "case_sensitive", false));
  ASSIGN_OR_RETURN(std::vector<Keyed> items, KeyedItems(in, self, attribute));
  const Value* fallback = arguments.Find(1, "default");
  for (Keyed& item : items) {
    if (fallback != nullptr && item.key.is_undefined()) item.key = *fallback;
  }
  RETURN_IF_ERROR(SortKeyed(in, &items, case_sensitive, false));
  std::vector<Value> groups;
  for (size_t begin = 0, end = 0; begin < items.size(); begin = end) {
    std::vector<Value> group;
    for (; end < items.size(); ++end) {
      ASSIGN_OR_RETURN(const int order,
                       CompareForSort(items[begin].key, items[end].key, case_sensitive));
      if (order != 0) break;
      group.push_back(items[end].item);
    }
    ASSIGN_OR_RETURN(Value made, in.NewGroup(items[begin].key, std::move(group)));
    groups.push_back(std::move(made));
  }
  return in.NewList(std::move(groups));
}

Result<Value> Unique(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const bool case_sensitive, BoolArgument(arguments, 0, "case_sensitive", false));
  ASSIGN_OR_RETURN(const std::vector<Keyed> items,
                   KeyedItems(in, self, arguments.Find(1, "attribute")));
  std::vector<Keyed> kept;
  for (const Keyed& item : items) {
    RETURN_IF_ERROR(in.Charge(kept.size() * (1 + item.key.extent().weight / 8)));
    const std::string* text = item.key.string();
    const Value key = text == nullptr || case_sensitive ? item.key : Value::Of(Lower(*text));
    if (std::ranges::any_of(kept, [&](const Keyed& k) { return Equal(k.key, key); })) continue;
    kept.push_back({key, item.item});
  }
  return ItemsOfKeyed(in, kept);
}

// The least, or with `kSign` -1 the greatest; the first of equal ones.
template <int kSign>
Result<Value> Extreme(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const bool case_sensitive, BoolArgument(arguments, 0, "case_sensitive", false));
  ASSIGN_OR_RETURN(const std::vector<Keyed> items,
                   KeyedItems(in, self, arguments.Find(1, "attribute")));
  if (items.empty()) return Value::Missing("there are no elements");
  const Keyed* best = &items[0];
  for (const Keyed& item : items) {
    ASSIGN_OR_RETURN(const int order, CompareForSort(item.key, best->key, case_sensitive));
    if (kSign * order < 0) best = &item;
  }
  return best->item;
}

Result<Value> Sum(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::vector<Keyed> items,
                   KeyedItems(in, self, arguments.Find(0, "attribute")));
  const Value* start = arguments.Find(1, "start");
  Value sum = start == nullptr ? Value::Of(int64_t{0}) : *start;
  for (const Keyed& item : items) {
    ASSIGN_OR_RETURN(sum, in.Binary("+", sum, item.key));
  }
  return sum;
}

Result<const Dict*> DictOf(const Value& self, std::string_view filter) {
  static const Dict empty;
  if (self.is_undefined()) return &empty;
  if (self.dict() != nullptr) return self.dict();
  return MakeError(ErrorCode::kBadData, "{}: expected a dictionary, found a value of type {}",
                   filter, self.TypeName());
}

Result<Value> Items(Interpreter& in, const Value& self, const Arguments&) {
  ASSIGN_OR_RETURN(const Dict* dict, DictOf(self, "items"));
  std::vector<Value> pairs;
  for (const auto& [key, value] : dict->items) {
    ASSIGN_OR_RETURN(Value pair, in.NewList({key, value}, true));
    pairs.push_back(std::move(pair));
  }
  return in.NewList(std::move(pairs));
}

Result<Value> DictSort(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const bool case_sensitive, BoolArgument(arguments, 0, "case_sensitive", false));
  ASSIGN_OR_RETURN(const std::string by, TextArgument(arguments, 1, "by", "key"));
  ASSIGN_OR_RETURN(const bool reverse, BoolArgument(arguments, 2, "reverse", false));
  if (by != "key" && by != "value") {
    return MakeError(ErrorCode::kBadData, "dictsort: expected by 'key' or 'value', found '{}'", by);
  }
  ASSIGN_OR_RETURN(const Value pairs, Items(in, self, {}));
  std::vector<Keyed> items;
  for (const Value& pair : pairs.list()->items) {
    items.push_back({pair.list()->items[by == "key" ? 0 : 1], pair});
  }
  RETURN_IF_ERROR(SortKeyed(in, &items, case_sensitive, reverse));
  return ItemsOfKeyed(in, items);
}

}  // namespace

const BuiltinTable& SequenceFilters() {
  static const BuiltinTable table = {
      {"count", Length},    {"dictsort", DictSort}, {"first", First},    {"groupby", GroupBy},
      {"items", Items},     {"join", Join},         {"last", Last},      {"length", Length},
      {"list", ListFilter}, {"max", Extreme<-1>},   {"min", Extreme<1>}, {"reverse", Reverse},
      {"sort", Sort},       {"sum", Sum},           {"unique", Unique},
  };
  return table;
}

}  // namespace llmrun::jinja
