// Tests of templates: `is defined`, `is string`, ...
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/text_case.h"

namespace llmrun::jinja {
namespace {

template <bool (*kHolds)(const Value&)>
Result<Value> Kind(Interpreter&, const Value& self, const Arguments&) {
  return Value::Of(kHolds(self));
}

bool IsDefined(const Value& v) { return !v.is_undefined(); }
bool IsUndefined(const Value& v) { return v.is_undefined(); }
bool IsNone(const Value& v) { return v.is_none(); }
bool IsBool(const Value& v) { return v.is_bool(); }
bool IsTrueItself(const Value& v) { return v.is_bool() && v.IsTrue(); }
bool IsFalseItself(const Value& v) { return v.is_bool() && !v.IsTrue(); }
bool IsInt(const Value& v) { return v.is_int(); }
bool IsFloat(const Value& v) { return v.is_float(); }
bool IsNumber(const Value& v) { return v.is_number(); }
bool IsString(const Value& v) { return v.string() != nullptr; }
bool IsMapping(const Value& v) { return v.dict() != nullptr; }
bool IsCallable(const Value& v) { return v.callable() != nullptr || v.loop() != nullptr; }
bool IsUpperText(const Value& v) { return v.string() != nullptr && IsUpper(*v.string()); }
bool IsLowerText(const Value& v) { return v.string() != nullptr && IsLower(*v.string()); }
// An undefined value is an empty sequence.
bool IsSequence(const Value& v) {
  return v.string() != nullptr || v.list() != nullptr || v.dict() != nullptr || v.is_undefined();
}

Result<Value> Other(const Arguments& arguments) {
  if (arguments.values.empty()) {
    return MakeError(ErrorCode::kBadData, "this test expects a value to compare with");
  }
  return arguments.values[0];
}

template <bool kEqual>
Result<Value> IsEqual(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Value other, Other(arguments));
  ASSIGN_OR_RETURN(const bool equal, in.AreEqual(self, other));
  return Value::Of(equal == kEqual);
}

template <bool (*kHolds)(int)>
Result<Value> IsOrdered(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Value other, Other(arguments));
  RETURN_IF_ERROR(in.Charge(std::min(self.extent().weight, other.extent().weight)));
  ASSIGN_OR_RETURN(const int order, Compare(self, other));
  return Value::Of(kHolds(order));
}
bool Less(int order) { return order < 0; }
bool LessOrEqual(int order) { return order <= 0; }
bool Greater(int order) { return order > 0; }
bool GreaterOrEqual(int order) { return order >= 0; }

Result<Value> IsIn(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Value whole, Other(arguments));
  ASSIGN_OR_RETURN(const bool contains, in.Contains(whole, self));
  return Value::Of(contains);
}

Result<Value> IsSame(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Value other, Other(arguments));
  if (self.data().index() != other.data().index()) return Value::Of(false);
  ASSIGN_OR_RETURN(const bool equal, in.AreEqual(self, other));
  return Value::Of(equal);
}

Result<Value> RestIs(Interpreter& in, const Value& self, int64_t divisor, int64_t wanted) {
  ASSIGN_OR_RETURN(const Value rest, in.Binary("%", self, Value::Of(divisor)));
  return Value::Of(Equal(rest, Value::Of(wanted)));
}
Result<Value> IsOdd(Interpreter& in, const Value& self, const Arguments&) {
  return RestIs(in, self, 2, 1);
}
Result<Value> IsEven(Interpreter& in, const Value& self, const Arguments&) {
  return RestIs(in, self, 2, 0);
}
Result<Value> IsDivisible(Interpreter& in, const Value& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const int64_t divisor, IntArgument(arguments, 0, "num", 0));
  return RestIs(in, self, divisor, 0);
}

Result<Value> IsFilter(Interpreter&, const Value& self, const Arguments&) {
  return Value::Of(self.string() != nullptr && FindFilter(*self.string()) != nullptr);
}
Result<Value> IsTest(Interpreter&, const Value& self, const Arguments&) {
  return Value::Of(self.string() != nullptr && FindBuiltin(Tests(), *self.string()) != nullptr);
}

}  // namespace

const BuiltinTable& Tests() {
  static const BuiltinTable table = {
      {"!=", IsEqual<false>},
      {"<", IsOrdered<Less>},
      {"<=", IsOrdered<LessOrEqual>},
      {"==", IsEqual<true>},
      {">", IsOrdered<Greater>},
      {">=", IsOrdered<GreaterOrEqual>},
      {"boolean", Kind<IsBool>},
      {"callable", Kind<IsCallable>},
      {"defined", Kind<IsDefined>},
      {"divisibleby", IsDivisible},
      {"eq", IsEqual<true>},
      {"equalto", IsEqual<true>},
      {"even", IsEven},
      {"false", Kind<IsFalseItself>},
      {"filter", IsFilter},
      {"float", Kind<IsFloat>},
      {"ge", IsOrdered<GreaterOrEqual>},
      {"greaterthan", IsOrdered<Greater>},
      {"gt", IsOrdered<Greater>},
      {"in", IsIn},
      {"integer", Kind<IsInt>},
      {"iterable", Kind<IsSequence>},
      {"le", IsOrdered<LessOrEqual>},
      {"lessthan", IsOrdered<Less>},
      {"lower", Kind<IsLowerText>},
      {"lt", IsOrdered<Less>},
      {"mapping", Kind<IsMapping>},
      {"ne", IsEqual<false>},
      {"none", Kind<IsNone>},
      {"number", Kind<IsNumber>},
      {"odd", IsOdd},
      {"sameas", IsSame},
      {"sequence", Kind<IsSequence>},
      {"string", Kind<IsString>},
      {"test", IsTest},
      {"true", Kind<IsTrueItself>},
      {"undefined", Kind<IsUndefined>},
      {"upper", Kind<IsUpperText>},
  };
  return table;
}

}  // namespace llmrun::jinja
