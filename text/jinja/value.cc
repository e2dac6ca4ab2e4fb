#include "text/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/utf8.h"

namespace llmrun::jinja {
namespace {

constexpr uint64_t kBytesOfWeight = 8;

Status CheckExtent(const Extent& extent) {
  if (extent.depth > kMaxNesting) {
    return MakeError(ErrorCode::kResource, "lists nested more than {} deep", kMaxNesting);
  }
  if (extent.weight > kMaxWeight) {
    return MakeError(ErrorCode::kResource, "a list of more than {} elements with its own lists'",
                     kMaxWeight);
  }
  return {};
}

void Include(const Value& part, Extent* whole) {
  const Extent extent = part.extent();
  whole->depth = std::max(whole->depth, extent.depth + 1);
  whole->weight += extent.weight;  // parts are at most kMaxWeight: no overflow in practice
}

bool EqualLists(const List& a, const List& b) {
  return a.is_tuple == b.is_tuple && std::ranges::equal(a.items, b.items, Equal);
}

bool EqualDicts(const Dict& a, const Dict& b) {
  if (a.items.size() != b.items.size()) return false;
  return std::ranges::all_of(a.items, [&](const auto& item) {
    const Value* other = b.Find(item.first);
    return other != nullptr && Equal(item.second, *other);
  });
}

int Sign(auto a, auto b) { return a < b ? -1 : b < a ? 1 : 0; }

}  // namespace

const Value* Dict::Find(const Value& key) const {
  const auto found =
      std::ranges::find_if(items, [&](const auto& i) { return Equal(i.first, key); });
  return found == items.end() ? nullptr : &found->second;
}

const Value* Dict::Find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    const std::string* text = name.string();
    if (text != nullptr && *text == key) return &value;
  }
  return nullptr;
}

Value* Namespace::Find(std::string_view name) {
  const auto found = std::ranges::find_if(items, [&](const auto& i) { return i.first == name; });
  return found == items.end() ? nullptr : &found->second;
}

Value Value::Missing(std::string what) {
  return Value(Data(Undefined{std::make_shared<const std::string>(std::move(what))}));
}

const std::string* Value::string() const {
  const auto* held = std::get_if<std::shared_ptr<const std::string>>(&data_);
  return held == nullptr ? nullptr : held->get();
}
const List* Value::list() const {
  const auto* held = std::get_if<ListPtr>(&data_);
  return held == nullptr ? nullptr : held->get();
}
const Dict* Value::dict() const {
  const auto* held = std::get_if<DictPtr>(&data_);
  return held == nullptr ? nullptr : held->get();
}
const Callable* Value::callable() const {
  const auto* held = std::get_if<std::shared_ptr<const Callable>>(&data_);
  return held == nullptr ? nullptr : held->get();
}
const LoopState* Value::loop() const {
  const auto* held = std::get_if<std::shared_ptr<const LoopState>>(&data_);
  return held == nullptr ? nullptr : held->get();
}
Namespace* Value::name_space() const {
  const auto* held = std::get_if<Namespace*>(&data_);
  return held == nullptr ? nullptr : *held;
}

int64_t Value::AsInt() const {
  if (is_bool()) return std::get<bool>(data_) ? 1 : 0;
  return std::get<int64_t>(data_);
}

double Value::AsDouble() const {
  return is_float() ? std::get<double>(data_) : static_cast<double>(AsInt());
}

bool Value::IsTrue() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return AsDouble() != 0;
  if (const std::string* text = string()) return !text->empty();
  if (const List* items = list()) return !items->items.empty();
  if (const Dict* items = dict()) return !items->items.empty();
  return true;
}

Extent Value::extent() const {
  if (const std::string* text = string()) return {0, 1 + text->size() / kBytesOfWeight};
  if (const List* items = list()) return items->extent;
  if (const Dict* items = dict()) return items->extent;
  if (const LoopState* state = loop()) {
    return {state->items->extent.depth + 1, state->items->extent.weight};
  }
  if (const Callable* called = callable()) {
    const Extent self = called->self.extent();
    return {self.depth + 1, self.weight + 1};
  }
  return {};
}

const char* Value::TypeName() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_int()) return "int";
  if (is_float()) return "float";
  if (string() != nullptr) return "str";
  if (const List* items = list()) return items->is_tuple ? "tuple" : "list";
  if (dict() != nullptr) return "dict";
  if (loop() != nullptr) return "LoopContext";
  if (name_space() != nullptr) return "Namespace";
  return "function";
}

std::string Value::What() const {
  const auto* undefined = std::get_if<Undefined>(&data_);
  if (undefined == nullptr || undefined->what == nullptr) return "the value is undefined";
  return *undefined->what;
}

Result<Value> MakeList(std::vector<Value> items, bool is_tuple) {
  Extent extent = {1, 1};
  for (const Value& item : items) Include(item, &extent);
  RETURN_IF_ERROR(CheckExtent(extent));
  return Value(Value::Data(std::make_shared<const List>(List{std::move(items), is_tuple, extent})));
}

Result<Value> MakeDict(std::vector<std::pair<Value, Value>> items) {
  Extent extent = {1, 1};
  for (const auto& [key, value] : items) {
    Include(key, &extent);
    Include(value, &extent);
  }
  RETURN_IF_ERROR(CheckExtent(extent));
  return Value(Value::Data(std::make_shared<const Dict>(Dict{std::move(items), extent})));
}

bool Equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return a.AsDouble() == b.AsDouble();
    return a.AsInt() == b.AsInt();
  }
  if (a.data().index() != b.data().index()) return false;
  if (a.is_undefined() || a.is_none()) return true;
  if (const std::string* text = a.string()) return *text == *b.string();
  if (const List* items = a.list()) return EqualLists(*items, *b.list());
  if (const Dict* items = a.dict()) return EqualDicts(*items, *b.dict());
  if (const Namespace* space = a.name_space()) return space == b.name_space();
  return a.callable() == b.callable() && a.loop() == b.loop();
}

Result<int> Compare(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return Sign(a.AsDouble(), b.AsDouble());
    return Sign(a.AsInt(), b.AsInt());
  }
  if (a.string() != nullptr && b.string() != nullptr) {
    return Sign(a.string()->compare(*b.string()), 0);
  }
  const List* left = a.list();
  const List* right = b.list();
  if (left != nullptr && right != nullptr && left->is_tuple == right->is_tuple) {
    const size_t shared = std::min(left->items.size(), right->items.size());
    for (size_t i = 0; i < shared; ++i) {
      if (!Equal(left->items[i], right->items[i])) return Compare(left->items[i], right->items[i]);
    }
    return Sign(left->items.size(), right->items.size());
  }
  return MakeError(ErrorCode::kBadData, "'{}' and '{}' cannot be put in order", a.TypeName(),
                   b.TypeName());
}

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = Utf8At(text, at).bytes;
    characters.push_back(text.substr(at, bytes));
    at += bytes;
  }
  return characters;
}

std::string FloatText(double number) {
  std::string text = fmt::format("{}", number);
  if (std::isfinite(number) && text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

}  // namespace llmrun::jinja
