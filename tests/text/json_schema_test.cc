#include "text/grammar/json_schema.h"

#include <gtest/gtest.h>

#include "tests/text/grammar_support.h"
#include "text/grammar/json_parts.h"

namespace llmrun {
namespace {

std::shared_ptr<const Grammar> OfSchema(std::string_view schema) {
  const Result<std::string> gbnf = JsonSchemaToGbnf(schema);
  if (gbnf) return MakeGrammar(*gbnf);
  ADD_FAILURE() << gbnf.error().OneLine() << "\n" << schema;
  return nullptr;
}

struct SchemaCase {
  const char* schema;
  std::vector<std::string> accepted;
  std::vector<std::string> refused;
};

void PrintTo(const SchemaCase& c, std::ostream* out) { *out << c.schema; }

class JsonSchema : public testing::TestWithParam<SchemaCase> {};

TEST_P(JsonSchema, TakesItsDocuments) {
  const auto grammar = OfSchema(GetParam().schema);
  ASSERT_NE(grammar, nullptr);
  for (const std::string& json : GetParam().accepted) {
    EXPECT_EQ(Take(grammar, json), Taken::kWhole) << GetParam().schema << "\n" << json;
  }
  for (const std::string& json : GetParam().refused) {
    EXPECT_NE(Take(grammar, json), Taken::kWhole) << GetParam().schema << "\n" << json;
  }
}

const SchemaCase kSchemaCases[] = {
    {"{}",
     {"null", "true", "12", "-1.5e3", "\"a\\n\\u00e9\"", "[]", "[1, [2]]", "{}",
      R"({"a": {"b": [null]}})"},
     {"", "nul", "01", "[1,]", "{a:1}", "\"\n\"", "1 2"}},
    {"true", {"1"}, {}},
    {R"({"type": "boolean"})", {"true", "false"}, {"null", "0"}},
    {R"({"type": ["string", "null"]})", {"\"x\"", "null"}, {"1"}},
    {R"({"enum": ["red", 5, null, {"a": [1]}]})",
     {"\"red\"", "5", "null", R"({"a":[1]})"},
     {"\"blue\"", "6"}},
    {R"({"const": "a\"b\\"})", {R"("a\"b\\")"}, {"\"a\""}},
    {R"({"type": "string", "minLength": 2, "maxLength": 3})",
     {"\"ab\"", "\"a\u00E9\\n\""},
     {"\"a\"", "\"abcd\"", "\"\""}},
    {R"({"type": "string", "minLength": 3})", {"\"abc\"", "\"abcdefgh\""}, {"\"ab\""}},
    {R"({"type": "integer"})", {"0", "-7", "123"}, {"1.0", "1e3", "00", "-"}},
    {R"({"type": "number"})", {"0", "-7.25", "1E-5"}, {".5", "1."}},
    {R"({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3})",
     {"[1]", "[1, 2]", "[1,2,3]"},
     {"[]", "[1,2,3,4]", "[true]", "[1 2]"}},
    {R"({"items": {"type": "null"}})", {"[]", "[null]", "[null,null,null]"}, {"[1]", "{}"}},
    {R"({"type": "array", "maxItems": 0})", {"[]"}, {"[1]"}},
    {R"({"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false})",
     {"[]", "[1]", "[1,\"a\"]"},
     {"[\"a\"]", "[1,\"a\",2]", "[1,]"}},
    {R"({"prefixItems": [{"type": "integer"}], "items": {"type": "boolean"}, "minItems": 2})",
     {"[1,true]", "[1,true,false]"},
     {"[1]", "[]", "[1,2]"}},
    {R"({"prefixItems": [{"type": "integer"}, {"type": "integer"}], "maxItems": 1})",
     {"[]", "[1]"},
     {"[1,2]"}},
    {R"({"type": "object"})", {"{}", R"({"x": 1, "y": [2]})"}, {"[]", "{\"x\"}"}},
    {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "null"},
        "c": {"type": "boolean"}}, "required": ["b"]})",
     {R"({"b":null})", R"({"a":1,"b":null})", R"({"b": null, "c": true})",
      R"({"a": 1, "b": null, "c": false})"},
     {"{}", R"({"a":1})", R"({"b":null,"a":1})", R"({,"b":null})", R"({"b":null,})",
      R"({"b":null,"d":1})"}},
    {R"({"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})",
     {"{}", R"({"a":1})", R"({"b":1})", R"({"a":1,"b":2})"},
     {R"({"a":1 "b":2})", R"({"a":1,})"}},
    {R"({"properties": {"ab": {"type": "integer"}, "ac": {"type": "null"}, "a": {"type": "null"}},
        "additionalProperties": {"type": "string"}})",
     {"{}", R"({"ab":1})", R"({"ab":1,"x":"y"})", R"({"x":"y"})", R"({"abc":"y"})",
      R"({"":"y","b":"z"})", R"({"ad":"y"})"},
     {R"({"ab":"y"})", R"({"a":"y"})", R"({"x":1})", R"({"x":"y","ab":1})"}},
    // Escapes of names are whole: no other name ends inside one.
    {R"({"properties": {"a\nb": {"type": "null"}, "\"": {"type": "null"}, "\u0001": {}},
        "additionalProperties": {"type": "integer"}})",
     {R"({"a\nb":null})", R"({"a\nc":1})", R"({"a":1})", R"({"an":1})", R"({"n":1})",
      R"({"\"b":1})", R"({"\u0001b":1})", R"({"u":1})", R"({"\"":null})"},
     {R"({"a\nb":1})", R"({"a\qc":1})", R"({"\"":1})", R"({"\q":1})", R"({"\u00x":1})"}},
    {R"({"additionalProperties": {"type": "integer"}})", {"{}", R"({"a":1})"}, {R"({"a":"b"})"}},
    {R"({"type": "object", "required": ["k"]})", {R"({"k": [1]})", R"({"k":1,"x":2})"}, {"{}"}},
    {R"({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]})",
     {"12", "\"a\""},
     {"\"ab\"", "null"}},
    {R"({"type": "object", "properties": {"a": {"type": "integer"}},
        "oneOf": [{"required": ["a"]}, {"properties": {"b": {"type": "null"}}}]})",
     {R"({"a":1})", "{}", R"({"b":null})"},
     {R"({"a":null})"}},
    {R"({"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                   {"$ref": "#/$defs/b"}],
         "$defs": {"b": {"type": "object", "properties": {"b": {"type": "null"}}}}})",
     {R"({"a":1,"b":null})", R"({"a":1})"},
     {R"({"b":null})"}},
    {R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["v"],
        "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}}}})",
     {R"({"v":1})", R"({"v":1,"next":{"v":2,"next":{"v":3}}})"},
     {R"({"v":1,"next":{}})", R"({"next":{"v":1}})"}},
    {R"({"type": "array", "items": {"$ref": "#"}})", {"[]", "[[],[[]]]"}, {"[1]"}},
    {R"({"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"const": 1}}})", {"1"}, {"2"}},
    {R"({"type": "string", "pattern": "^[A-Z]{2}-\\d+(?:x|yz)?$"})",
     {"\"AB-1\"", "\"AB-123yz\""},
     {"\"A-1\"", "\"AB-\"", "\"AB-1z\""}},
    {R"({"type": "string", "pattern": "^[ -~]+\\.[^a\\]]$"})",
     {"\"ok.b\"", "\"x.\u00E9\""},
     {"\"a\"b.c\"", "\"x.a\"", "\"x.]\"", "\"\\.b\""}},
    {R"({"pattern": "^a+?b*?c??d{2}?$"})",
     {"\"aadd\"", "\"abcdd\""},
     {"\"dd\"", "\"abc\"", "\"ad\""}},
    {R"({"pattern": "^\"q\\\\$"})", {R"("\"q\\")"}, {"\"\"q\""}},
    {R"({"format": "date"})", {"\"2024-02-29\""}, {"\"2024-13-01\"", "\"2024-1-1\"", "\"\""}},
    {R"({"format": "time"})", {"\"23:59:59Z\"", "\"00:00:00.123+05:30\""}, {"\"24:00:00Z\""}},
    {R"({"format": "date-time"})", {"\"2024-02-29T12:00:00Z\""}, {"\"2024-02-29 12:00:00Z\""}},
    {R"({"format": "uuid"})",
     {"\"01234567-89ab-cdef-0123-456789ABCDEF\""},
     {"\"0123456789abcdef0123456789abcdef\""}},
    {R"({"title": "t", "description": "d", "default": 5, "x-y": 1, "type": "null"})", {"null"}, {}},
};
INSTANTIATE_TEST_SUITE_P(Cases, JsonSchema, testing::ValuesIn(kSchemaCases));

// All numbers near all bounds, against a comparison of numbers.
TEST(JsonSchemaIntegers, RangesAreExact) {
  const int64_t bounds[] = {-1234, -100, -99, -10, -1,  0,   1,    9,
                            10,    57,   99,  100, 101, 999, 1000, 4321};
  for (const int64_t least : bounds) {
    for (const int64_t most : bounds) {
      if (most < least) continue;
      const auto grammar = OfSchema(
          fmt::format(R"({{"type": "integer", "minimum": {}, "maximum": {}}})", least, most));
      for (const int64_t bound : bounds) {
        for (const int64_t number : {bound - 1, bound, bound + 1, bound * 7}) {
          EXPECT_EQ(Take(grammar, std::to_string(number)) == Taken::kWhole,
                    number >= least && number <= most)
              << number << " in " << least << " " << most;
        }
      }
      EXPECT_NE(Take(grammar, "-0"), Taken::kWhole);
      EXPECT_NE(Take(grammar, "007"), Taken::kWhole);
    }
  }
  const auto open = OfSchema(R"({"exclusiveMinimum": 41.5, "type": "integer"})");
  EXPECT_EQ(Take(open, "42"), Taken::kWhole);
  EXPECT_EQ(Take(open, "999999999999999999"), Taken::kWhole);
  EXPECT_NE(Take(open, "41"), Taken::kWhole);
  const auto below = OfSchema(R"({"exclusiveMaximum": 0, "type": "integer"})");
  EXPECT_EQ(Take(below, "-1"), Taken::kWhole);
  EXPECT_NE(Take(below, "0"), Taken::kWhole);
}

// Decimals around all bounds, against a comparison of numbers.
TEST(JsonSchemaNumbers, RangesAreExact) {
  const char* bounds[] = {"-100.25", "-2", "-1.5", "-0.05", "-1e-3", "0",    "1e-06", "0.049",
                          "0.05",    "1",  "1.05", "1.5",   "2",     "9.99", "10",    "1234.5"};
  std::vector<std::string> numbers = {"0.0", "0.050", "-0.0501", "1.0", "999999999999999999"};
  for (const std::string bound : bounds) {
    const double value = std::stod(bound);
    for (const double step : {0.0, 1e-7, -1e-7, 0.01, -0.01, 0.5, -0.5, 1.0, -1.0, 30.0, -30.0}) {
      numbers.push_back(fmt::format("{:.7f}", value + step));
      const std::string whole = fmt::format("{:.0f}", value + step);
      if (whole != "-0") numbers.push_back(whole);
    }
  }
  std::erase_if(numbers, [](const std::string& text) {
    return text.starts_with('-') && std::stod(text) == 0;  // written without a sign
  });
  for (const std::string least : bounds) {
    for (const std::string most : bounds) {
      for (const auto& [low, high] :
           {std::pair("minimum", "maximum"), std::pair("exclusiveMinimum", "exclusiveMaximum")}) {
        const bool open = low[0] == 'e';
        const double from = std::stod(least);
        const double to = std::stod(most);
        if (from > to || (open && from == to)) continue;
        const std::string schema = fmt::format(R"({{"{}": {}, "{}": {}}})", low, least, high, most);
        const auto grammar = OfSchema(schema);
        for (const std::string& number : numbers) {
          const double value = std::stod(number);
          const bool inside = open ? value > from && value < to : value >= from && value <= to;
          EXPECT_EQ(Take(grammar, number) == Taken::kWhole, inside) << number << " of " << schema;
        }
      }
    }
  }
}

TEST(JsonSchemaNumbers, OneBoundIsEnough) {
  const auto check = [](const char* schema, std::vector<const char*> accepted,
                        std::vector<const char*> refused) {
    const auto grammar = OfSchema(schema);
    for (const char* text : accepted) EXPECT_EQ(Take(grammar, text), Taken::kWhole) << text;
    for (const char* text : refused) EXPECT_NE(Take(grammar, text), Taken::kWhole) << text;
  };
  check(R"({"type": "number", "minimum": 0})", {"0", "0.0", "0.5", "17", "123456789.25"},
        {"-0.1", "-0", "01", "1.", "1e5", ".5"});
  check(R"({"type": "number", "exclusiveMinimum": 0})", {"0.0001", "1", "1.0"}, {"0", "0.0", "-1"});
  check(R"({"maximum": 1, "exclusiveMaximum": 1})", {"0.999", "0", "-5.5", "-123"}, {"1", "1.0"});
  check(R"({"maximum": -1.25})", {"-1.25", "-1.250", "-1.3", "-2", "-10"}, {"-1.2", "-1", "0"});
  check(R"({"minimum": 123456789012345})",
        {"123456789012345", "123456789012345.5", "999999999999999"}, {"123456789012344.9", "1"});
  // Of both words the tighter counts.
  check(R"({"minimum": 2, "exclusiveMinimum": 1, "maximum": 3, "exclusiveMaximum": 3})",
        {"2", "2.99"}, {"1.5", "3"});
}

void ExpectSchemaError(std::string_view schema, ErrorCode code, std::string_view message) {
  const Result<std::string> gbnf = JsonSchemaToGbnf(schema);
  ASSERT_FALSE(gbnf) << schema.substr(0, 200);
  EXPECT_EQ(gbnf.error().code, code);
  EXPECT_NE(gbnf.error().message.find(message), std::string::npos) << gbnf.error().message;
}

TEST(JsonSchemaErrors, NothingIsIgnoredThatConstrains) {
  for (const char* keyword : {"not", "patternProperties", "multipleOf", "uniqueItems", "contains",
                              "if", "dependentRequired", "propertyNames", "minProperties"}) {
    ExpectSchemaError(fmt::format(R"({{"type": "object", "{}": 1}})", keyword), ErrorCode::kUsage,
                      fmt::format("the keyword '{}' is not understood", keyword));
  }
  ExpectSchemaError(R"({"format": "email"})", ErrorCode::kUsage, "format \"email\"");
  ExpectSchemaError(R"({"pattern": "a+"})", ErrorCode::kUsage, "begin with ^");
  ExpectSchemaError(R"({"pattern": "^(?=a)b$"})", ErrorCode::kUsage, "looks around");
  ExpectSchemaError(R"({"pattern": "^(a)\\1$"})", ErrorCode::kUsage, "\\1");
  ExpectSchemaError(R"({"pattern": "^[\"]$"})", ErrorCode::kUsage, "escape");
  for (const char* pattern : {"^*$", "^a|+$", "^(?$", "^(|{2})$"}) {
    const bool group = pattern[2] == '?';
    ExpectSchemaError(fmt::format(R"({{"pattern": "{}"}})", pattern), ErrorCode::kUsage,
                      group ? "looks around" : "repeats nothing");
  }
  for (const char* pattern : {"^a{,3}$", "^a{}$", "^a{2$", "^a{2,$", "^a{x}$",
                              "^a{99999999999999999999}$", "^a{1,99999999999999999999}$"}) {
    ExpectSchemaError(fmt::format(R"({{"pattern": "{}"}})", pattern), ErrorCode::kUsage,
                      "is no repetition");
  }
  ExpectSchemaError(R"({"pattern": "^a{20,3}$"})", ErrorCode::kUsage,
                    "has a repetition of more times at least than at most");
  for (const char* pattern : {"^a**$", "^a+??$", "^a{2}{3}$", "^a?+$"}) {
    ExpectSchemaError(fmt::format(R"({{"pattern": "{}"}})", pattern), ErrorCode::kUsage,
                      "repeats a repetition");
  }
  ExpectSchemaError(R"({"pattern": "^a$", "minLength": 1})", ErrorCode::kUsage, "only one");
}

TEST(JsonSchemaErrors, WhatContradictsItself) {
  ExpectSchemaError("", ErrorCode::kUsage, "no JSON");
  ExpectSchemaError("{\"type\": ", ErrorCode::kUsage, "no JSON");
  ExpectSchemaError("[]", ErrorCode::kUsage, "expected an object");
  ExpectSchemaError("false", ErrorCode::kUsage, "accepts nothing");
  ExpectSchemaError(R"({"type": "text"})", ErrorCode::kUsage, "\"text\" is none");
  ExpectSchemaError(R"({"type": 5})", ErrorCode::kUsage, "type: 5 is none");
  ExpectSchemaError(R"({"enum": []})", ErrorCode::kUsage, "enum");
  ExpectSchemaError(R"({"minLength": -1})", ErrorCode::kUsage, "minLength");
  ExpectSchemaError(R"({"minLength": 3, "maxLength": 2})", ErrorCode::kUsage,
                    "maxLength 2 is below");
  ExpectSchemaError(R"({"minimum": 3, "maximum": 2})", ErrorCode::kUsage,
                    "no number is at least 3 and at most 2");
  ExpectSchemaError(R"({"minimum": 3, "exclusiveMaximum": 3})", ErrorCode::kUsage,
                    "no number is at least 3 and below 3");
  ExpectSchemaError(R"({"type": "integer", "minimum": 3, "maximum": 2})", ErrorCode::kUsage,
                    "no integer");
  ExpectSchemaError(R"({"minimum": 1e-40})", ErrorCode::kUsage, "digits behind its point");
  ExpectSchemaError(R"({"minimum": "a"})", ErrorCode::kUsage, "minimum");
  ExpectSchemaError(R"({"maximum": 1e300})", ErrorCode::kUsage, "maximum");
  ExpectSchemaError(R"({"$ref": "#/none"})", ErrorCode::kUsage, "there is no '#/none'");
  ExpectSchemaError(R"({"$ref": "http://x/y"})", ErrorCode::kUsage, "not in this document");
  ExpectSchemaError(R"({"properties": {"a": {}}, "required": ["b"]})", ErrorCode::kUsage, "'b'");
  ExpectSchemaError(R"({"properties": 5})", ErrorCode::kUsage, "properties");
  ExpectSchemaError(R"({"allOf": [{"type": "null"}, {"type": "string"}]})", ErrorCode::kUsage,
                    "differ in 'type'");
  ExpectSchemaError(R"({"allOf": [{"$ref": "#"}]})", ErrorCode::kResource, "");
  ExpectSchemaError(R"({"items": false, "minItems": 1})", ErrorCode::kUsage, "minItems");
}

TEST(JsonSchemaErrors, DepthHasALimit) {
  std::string deep;
  for (int i = 0; i < 3000; ++i) deep += R"({"items":)";
  ExpectSchemaError(deep + "{}" + std::string(3000, '}'), ErrorCode::kResource, "brackets");
  deep.clear();
  for (int i = 0; i < 150; ++i) deep += R"({"items":)";
  ExpectSchemaError(deep + "{}" + std::string(150, '}'), ErrorCode::kResource, "deeper than");
  ExpectSchemaError(std::string(60'000, '['), ErrorCode::kResource, "brackets");
}

TEST(JsonSchemaErrors, ListsMayBeLong) {
  constexpr size_t kItems = 2000;
  std::string items;
  std::string document;
  for (size_t i = 0; i < kItems; ++i) {
    items += i == 0 ? "true" : ",true";
    document += i == 0 ? "[1" : ",1";
  }
  const auto grammar = OfSchema("{\"prefixItems\":[" + items + "],\"items\":false}");
  EXPECT_EQ(Take(grammar, document + "]"), Taken::kWhole);
  EXPECT_EQ(Take(grammar, document + ",1]"), Taken::kNo);
}

TEST(JsonSchemaErrors, DocumentsMayBeDeep) {
  constexpr size_t kDepth = 3000;
  const auto grammar = OfSchema("{}");
  const std::string open(kDepth, '[');
  EXPECT_EQ(Take(grammar, open + std::string(kDepth, ']')), Taken::kWhole);
  EXPECT_EQ(Take(grammar, open + std::string(kDepth - 1, ']')), Taken::kBeginning);
  EXPECT_EQ(Take(grammar, open + std::string(kDepth + 1, ']')), Taken::kNo);
}

// A reference that leads to itself is a rule that begins with itself.
TEST(JsonSchemaErrors, ReferencesInACircle) {
  const Result<std::string> gbnf =
      JsonSchemaToGbnf(R"({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})");
  ASSERT_TRUE(gbnf);
  const Result<Grammar> grammar = CompileGrammar(*gbnf);
  ASSERT_FALSE(grammar);
  EXPECT_NE(grammar.error().message.find("left recursion"), std::string::npos);
}

}  // namespace
}  // namespace llmrun
