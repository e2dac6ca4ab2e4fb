// The values of templates, with the meaning that Python gives them: lists, dictionaries in the
// order of their keys, strings of characters, whole numbers of 64 bits, and the undefined value.
//
// Lists and dictionaries never change once made, so they hold no cycle; how deep and how large
// they are is kept with them, so that nobody recurses far or copies a small value that stands for
// a huge one.
//
// Owner: values share what they hold; namespaces belong to the interpreter and outlive its values.
// Threads: Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace llmrun::jinja {

// Lists in lists, and blocks or parentheses in each other.
inline constexpr int kMaxNesting = 200;
// Elements of a list with those of its elements, and every 8 bytes of text.
inline constexpr uint64_t kMaxWeight = 16'000'000;

class Value;
struct Callable;
struct LoopState;
struct Namespace;

struct Undefined {
  std::shared_ptr<const std::string> what;  // "'name' is undefined"; null: nothing more is known
};
struct None {};

// How deep a value is nested, and how much there is of it.
struct Extent {
  int depth = 0;
  uint64_t weight = 1;
};

struct List {
  std::vector<Value> items;
  bool is_tuple = false;
  Extent extent = {};
  bool is_group = false;  // of groupby: a tuple of a `grouper` and a `list`
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;
  Extent extent = {};

  const Value* Find(const Value& key) const;  // nullptr when absent
  const Value* Find(std::string_view key) const;
};

using ListPtr = std::shared_ptr<const List>;
using DictPtr = std::shared_ptr<const Dict>;

class Value {
 public:
  using Data =
      std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const std::string>,
                   ListPtr, DictPtr, std::shared_ptr<const Callable>,
                   std::shared_ptr<const LoopState>, Namespace*>;

  Value() = default;  // undefined
  explicit Value(Data data) : data_(std::move(data)) {}
  static Value OfNone() { return Value(Data(None{})); }
  static Value Of(bool truth) { return Value(Data(truth)); }
  static Value Of(int64_t number) { return Value(Data(number)); }
  static Value Of(size_t count) { return Of(static_cast<int64_t>(count)); }
  static Value Of(double number) { return Value(Data(number)); }
  static Value Of(std::string text) {
    return Value(Data(std::make_shared<const std::string>(std::move(text))));
  }
  static Value Of(const char* text) { return Of(std::string(text)); }
  static Value Missing(std::string what);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<int64_t>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_bool() || is_int() || is_float(); }
  // Each nullptr when it is something else.
  const std::string* string() const;
  const List* list() const;
  const Dict* dict() const;
  const Callable* callable() const;
  const LoopState* loop() const;
  Namespace* name_space() const;

  // Of numbers and truth values. Requires: is_number(); for AsInt not is_float().
  int64_t AsInt() const;
  double AsDouble() const;

  bool IsTrue() const;
  Extent extent() const;
  const char* TypeName() const;  // as Python names it: "str", "dict", ...
  std::string What() const;      // of an undefined value: why it is

  const Data& data() const { return data_; }

 private:
  Data data_;
};

// kResource when it would be too deep or too large.
Result<Value> MakeList(std::vector<Value> items, bool is_tuple = false);
// Of distinct keys.
Result<Value> MakeDict(std::vector<std::pair<Value, Value>> items);

// What a name stands for that can be called: a function or filter of ours, a method with the value
// that it is of, or a macro.
struct Callable {
  std::string name;
  Value self = {};                     // of a method
  const struct Stmt* macro = nullptr;  // of the template, which outlives all values
  uint64_t scope = 0;                  // of a call block's body: that which it sees, by number
};

// The `loop` of a for statement.
struct LoopState {
  ListPtr items = {};
  size_t index = 0;
  int depth = 1;
  // What changed() saw last, in the one attribute of a namespace; null: it was not called yet.
  std::shared_ptr<Namespace*> changed = {};
  const struct Stmt* recursive = nullptr;  // the statement, where the loop can be called
  uint64_t scope = 0;                      // that in which it stands, by number
};

// What namespace() makes: the one thing whose attributes can be set.
struct Namespace {
  std::vector<std::pair<std::string, Value>> items;

  Value* Find(std::string_view name);
};

bool Equal(const Value& a, const Value& b);
// < 0, 0 or > 0; kUsage when Python would not compare the two.
Result<int> Compare(const Value& a, const Value& b);

// As str() and repr() give it; at most about `max_bytes`, kResource beyond.
Result<std::string> ToText(const Value& value, size_t max_bytes);
std::string FloatText(double number);

// Characters, as Python counts and cuts them; a stray byte is one.
std::vector<std::string_view> Characters(std::string_view text);

}  // namespace llmrun::jinja
