// Templates against what Jinja itself makes of them: tests/data/templates/expected.json, which
// make_expected beside it writes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "text/jinja/json.h"
#include "text/jinja/template.h"

namespace llmrun::jinja {
namespace {

using testing::HasSubstr;
using Json = nlohmann::ordered_json;

const std::filesystem::path kFolder = LLMRUN_SOURCE_DIR "/tests/data/templates";

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}
Json ReadJson(const std::string& name) { return Json::parse(ReadText(kFolder / name)); }

RenderOptions WithNow() {
  RenderOptions options;
  options.now.tm_year = 2026 - 1900;
  options.now.tm_mon = 2;
  options.now.tm_mday = 2;
  options.now.tm_hour = 10;
  options.now.tm_min = 5;
  options.now.tm_wday = 1;
  return options;
}

Result<std::string> RenderText(const std::string& source, const Json& context = Json::object(),
                               const RenderOptions& options = WithNow()) {
  ASSIGN_OR_RETURN(const Template parsed, Template::Parse(source));
  ASSIGN_OR_RETURN(const Value values, FromJson(context));
  return parsed.Render(values, options);
}

void ExpectAsJinja(const std::string& source, const Json& context, const Json& expected) {
  const Result<std::string> text = RenderText(source, context);
  if (expected.is_null()) {
    EXPECT_FALSE(text) << *text;
    return;
  }
  ASSERT_TRUE(text) << text.error().OneLine();
  EXPECT_EQ(*text, expected.get<std::string>());
}

std::string ErrorOf(const std::string& source, const RenderOptions& options = WithNow()) {
  const Result<std::string> text = RenderText(source, Json::object(), options);
  return text ? "no error: " + text->substr(0, 100) : text.error().message;
}

TEST(Jinja, SnippetsGiveWhatJinjaGives) {
  const Json snippets = ReadJson("snippets.json");
  const Json expected = ReadJson("expected.json")["snippets"];
  ASSERT_EQ(snippets["sources"].size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string source = snippets["sources"][i];
    SCOPED_TRACE(source);
    ExpectAsJinja(source, snippets["context"], expected[i]);
  }
}

TEST(Jinja, ChatTemplatesGiveWhatJinjaGives) {
  const Json conversations = ReadJson("conversations.json");
  const Json all = ReadJson("expected.json")["templates"];
  EXPECT_GE(all.size(), 11U);
  for (const auto& [name, expected] : all.items()) {
    const std::string source = ReadText(kFolder / (name + ".jinja"));
    for (const auto& [conversation, context] : conversations.items()) {
      SCOPED_TRACE(name + " of " + conversation);
      ExpectAsJinja(source, context, expected[conversation]);
    }
  }
}

// Where Jinja is at hand it is asked again.
TEST(Jinja, TheExpectationsAreThoseOfThisMachinesJinja) {
  const std::string script = (kFolder / "make_expected").string();
  if (std::system("python3 -c 'import jinja2' 2>/dev/null") != 0) {
    GTEST_SKIP() << "needs python3-jinja2";
  }
  EXPECT_EQ(std::system((script + " --check").c_str()), 0);
}

TEST(Jinja, ErrorsNameLineAndColumn) {
  EXPECT_EQ(ErrorOf("a\n {{ 1 + }}"), "2:9: expected an expression, found '}}'");
  EXPECT_EQ(ErrorOf("{% if x %}\n"),
            "1:11: expected 'elif' or 'else' or 'endif', found the end "
            "of the template");
  EXPECT_EQ(ErrorOf("\n\n{{ 'a' + 1 }}"), "3:8: cannot compute '+' of values of type str and int");
  EXPECT_EQ(ErrorOf("{{ a.b }}"), "1:5: 'a' is undefined");
  EXPECT_EQ(ErrorOf("{% nope %}").substr(0, 29), "1:1: unknown statement 'nope'");
  EXPECT_EQ(ErrorOf("{{ 'x'|nope }}"), "1:8: there is no filter 'nope'");
  EXPECT_EQ(ErrorOf("x{# "), "1:2: this comment has no end; expected '#}'");
  const Result<std::string> refused = RenderText("{{ raise_exception('roles!') }}");
  EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
  EXPECT_THAT(refused.error().message, HasSubstr("the template refuses: roles!"));
}

std::string Repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(Jinja, DeepNestingIsRefusedWithoutRecursion) {
  constexpr int kMany = 60'000;
  const std::string nested[] = {
      "{{ " + Repeated("(", kMany) + "1" + Repeated(")", kMany) + " }}",
      "{{ " + Repeated("[", kMany) + Repeated("]", kMany) + " }}",
      "{{ " + Repeated("{1:", kMany) + "1" + Repeated("}", kMany) + " }}",
      "{{ " + Repeated("not ", kMany) + "1 }}",
      "{{ " + Repeated("- ", kMany) + "1 }}",
      "{{ 1" + Repeated("+1", kMany) + " }}",
      "{{ 1" + Repeated("**1", kMany) + " }}",
      "{{ x" + Repeated(".x", kMany) + " }}",
      "{{ x" + Repeated("|list", kMany) + " }}",
      "{{ x" + Repeated("()", kMany) + " }}",
      "{{ x" + Repeated("[x", kMany) + Repeated("]", kMany) + " }}",
      "{{ " + Repeated("1 if 1 else ", kMany) + "1 }}",
      Repeated("{% if 1 %}", kMany) + Repeated("{% endif %}", kMany),
      Repeated("{% for i in x %}", kMany) + Repeated("{% endfor %}", kMany),
      Repeated("{% call x() %}", kMany) + Repeated("{% endcall %}", kMany),
      "{{ x(" + Repeated("x(", kMany) + Repeated(")", kMany) + ") }}",
  };
  for (const std::string& source : nested) {
    EXPECT_THAT(ErrorOf(source), HasSubstr("nested more than 200 deep")) << source.substr(0, 30);
  }
  const std::string flat = "{{ 1" + Repeated("~1", kMany) + " }}";
  EXPECT_EQ(RenderText(flat).value().size(), kMany + 1U);
}

TEST(Jinja, WorkIsBounded) {
  EXPECT_THAT(ErrorOf("{{ range(10**9) }}"), HasSubstr("range of more than 100000 numbers"));
  const std::string loops =
      Repeated("{% for i in range(100000) %}", 3) + "{{ i }}" + Repeated("{% endfor %}", 3);
  RenderOptions small = WithNow();
  small.max_steps = 100'000;
  small.max_output_bytes = 10'000;
  small.max_memory_bytes = 1'000'000;
  EXPECT_THAT(ErrorOf(loops, small), HasSubstr("takes more than 100000 steps"));
  EXPECT_THAT(ErrorOf("{{ 'abc' * 100000 }}", small), HasSubstr("writes more than 10000 bytes"));
  EXPECT_THAT(ErrorOf("{{ 'abc' * 10**15 }}", small), HasSubstr("makes more than 1000000 bytes"));
  EXPECT_THAT(ErrorOf("{{ [1] * 10**15 }}", small), HasSubstr("makes more than 1000000 bytes"));
  EXPECT_THAT(ErrorOf("{{ 10**30 }}"), HasSubstr("beyond 64 bits"));
  EXPECT_THAT(ErrorOf("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
              HasSubstr("calls nested more than 800 deep"));
}

TEST(Jinja, RecursionThroughBlocksIsBounded) {
  EXPECT_THAT(ErrorOf("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}"
                      "{% call m() %}{% endcall %}"),
              HasSubstr("calls nested more than 800 deep"));
  EXPECT_THAT(ErrorOf("{% for i in [1] recursive %}{{ loop([i]) }}{% endfor %}"),
              HasSubstr("calls nested more than 800 deep"));
  RenderOptions small = WithNow();
  small.max_steps = 10'000;
  EXPECT_THAT(ErrorOf("{% for i in range(9) recursive %}{{ loop(range(9)) if loop.depth < 9 }}"
                      "{% endfor %}",
                      small),
              HasSubstr("takes more than 10000 steps"));
}

// What is of a block may be kept behind its end, and must not be called there.
TEST(Jinja, WhatIsOfABlockEndsWithIt) {
  EXPECT_EQ(ErrorOf("{% set ns = namespace() %}{% macro m() %}{% set ns.c = caller %}{% endmacro %}"
                    "{% call m() %}x{% endcall %}{{ ns.c() }}"),
            "1:114: this is called behind the end of the block it is of");
  EXPECT_EQ(ErrorOf("{% set ns = namespace() %}{% for i in [[1]] recursive %}{% set ns.l = loop %}"
                    "{% endfor %}{{ ns.l([2]) }}"),
            "1:97: this is called behind the end of the block it is of");
  // What a loop has seen may hold the loop.
  EXPECT_EQ(RenderText("{% for i in [1, 2] %}{{ loop.changed(loop) }}{{ loop.changed(loop) }}"
                       "{% endfor %}{% set ns = namespace() %}{% for i in [1] %}"
                       "{% set ns.l = loop.cycle %}{% endfor %}{{ ns.l('a', 'b') }}"),
            "TrueFalseTrueFalsea");
}

TEST(Jinja, OtherTemplatesAreRefusedByName) {
  for (const char* word : {"extends", "block", "include", "import", "from"}) {
    EXPECT_EQ(ErrorOf(fmt::format("a{{% {} 'x' %}}", word)),
              fmt::format("1:2: '{}' is not supported: there are no other templates beside this "
                          "one",
                          word));
  }
  EXPECT_EQ(ErrorOf("{% call x %}{% endcall %}"),
            "1:11: expected the call of a macro before it, found '%}'");
  EXPECT_EQ(ErrorOf("{% call range(3) %}{% endcall %}"),
            "1:1: 'call' of 'range', which is no macro");
}

// A value that stands for more than it takes up: each round doubles it.
TEST(Jinja, SharedValuesCannotBlowUp) {
  const std::string doubling =
      "{% set ns = namespace(l=[1]) %}{% for i in range(150) %}{% set ns.l = [ns.l, ns.l] %}"
      "{% endfor %}{{ ns.l == ns.l }}{{ ns.l }}";
  EXPECT_THAT(ErrorOf(doubling), HasSubstr("a list of more than 16000000 elements"));
  const std::string deepening =
      "{% set ns = namespace(l=1) %}{% for i in range(300) %}{% set ns.l = [ns.l] %}{% endfor %}";
  EXPECT_THAT(ErrorOf(deepening), HasSubstr("lists nested more than 200 deep"));
  // A namespace may hold itself; it is gone with the interpreter.
  EXPECT_EQ(RenderText("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me is defined }}"),
            "True");
}

TEST(Jinja, OrdinaryLargeInputsPass) {
  Json context;
  for (int i = 0; i < 500; ++i) {
    context["messages"].push_back(
        {{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", std::string(2000, 'x')}});
  }
  const std::string source =
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}{% endfor %}";
  EXPECT_EQ(RenderText(source, context).value().size(), 500U * 2000 + 250 * 8 + 250 * 13);
}

TEST(Jinja, TemplatesAreRefusedBySize) {
  EXPECT_THAT(ErrorOf(std::string(5 << 20, 'x')), HasSubstr("a template of 5242880 bytes"));
}

}  // namespace
}  // namespace llmrun::jinja
