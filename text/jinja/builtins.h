// The filters, tests, methods and functions that templates may use, by name.
// Threads: constant tables.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/value.h"

namespace llmrun::jinja {

// `self`: what a filter, test or method is of; undefined for functions.
using Builtin = Result<Value> (*)(Interpreter& in, const Value& self, const Arguments& arguments);
using BuiltinTable = std::map<std::string_view, Builtin>;

const BuiltinTable& TextFilters();      // text_filters.cc
const BuiltinTable& NumberFilters();    // number_filters.cc
const BuiltinTable& SequenceFilters();  // sequence_filters.cc
const BuiltinTable& ChoiceFilters();    // choice_filters.cc: select, map and the like
const BuiltinTable& Tests();            // tests.cc
const BuiltinTable& Functions();        // functions.cc
const BuiltinTable& TextMethods();      // methods.cc
const BuiltinTable& DictMethods();      // methods.cc
const BuiltinTable& ListMethods();      // methods.cc
const BuiltinTable& LoopMethods();      // loops.cc

Builtin FindBuiltin(const BuiltinTable& table, std::string_view name);  // nullptr when absent
Builtin FindFilter(std::string_view name);
// Of the kind of value that `self` is.
Builtin FindMethod(const Value& self, std::string_view name);

// Arguments as what they must be; kBadData otherwise, `fallback` when not given.
Result<int64_t> IntArgument(const Arguments& arguments, size_t index, std::string_view name,
                            int64_t fallback);
Result<bool> BoolArgument(const Arguments& arguments, size_t index, std::string_view name,
                          bool fallback);
Result<std::string> TextArgument(const Arguments& arguments, size_t index, std::string_view name,
                                 std::string_view fallback);

// White space as Python strips it, or the given characters; at either side or both.
std::string_view Strip(std::string_view text, const std::string* characters, bool left, bool right);
// "%s %d" of Python, for the filter `format` and the operator %.
Result<Value> FormatPercent(Interpreter& in, const std::string& format, const Value& values);
// Compare(), as the filters that sort do it: without regard to case unless `case_sensitive`.
Result<int> CompareForSort(const Value& a, const Value& b, bool case_sensitive);
// "a.b.0": attributes and elements of attributes.
Result<Value> AttributePath(Interpreter& in, const Value& value, const Value& path);

}  // namespace llmrun::jinja
