#include "text/grammar/grammar.h"

#include <gtest/gtest.h>

#include "tests/text/grammar_support.h"
#include "text/grammar/syntax.h"
#include "text/utf8.h"

namespace llmrun {
namespace {

void ExpectWhole(std::string_view gbnf, const std::vector<std::string>& texts) {
  const auto grammar = MakeGrammar(gbnf);
  for (const std::string& text : texts) {
    EXPECT_EQ(Take(grammar, text), Taken::kWhole) << gbnf << "\ntext: " << text;
  }
}

void ExpectNotWhole(std::string_view gbnf, const std::vector<std::string>& texts) {
  const auto grammar = MakeGrammar(gbnf);
  for (const std::string& text : texts) {
    EXPECT_NE(Take(grammar, text), Taken::kWhole) << gbnf << "\ntext: " << text;
  }
}

void ExpectRefused(std::string_view gbnf, ErrorCode code, std::string_view message) {
  const Result<Grammar> grammar = CompileGrammar(gbnf);
  ASSERT_FALSE(grammar) << gbnf.substr(0, 100);
  EXPECT_EQ(grammar.error().code, code);
  EXPECT_NE(grammar.error().message.find(message), std::string::npos) << grammar.error().message;
}

TEST(Grammar, LiteralsAlternativesAndGroups) {
  const char* gbnf = "root ::= \"a\" (\"b\" | \"c\" \"d\") | \"\"";
  ExpectWhole(gbnf, {"ab", "acd", ""});
  ExpectNotWhole(gbnf, {"a", "abc", "b", "ac", "acdb"});
  ExpectWhole(R"(root ::= "\"\\\n\t\x41\u00e9\U0001F600")", {"\"\\\n\tA\u00E9\U0001F600"});
}

TEST(Grammar, RepetitionsTakeAsManyAsTheySay) {
  for (const auto& [bounds, least, most] :
       {std::tuple("*", 0, 99), std::tuple("+", 1, 99), std::tuple("?", 0, 1),
        std::tuple("{3}", 3, 3), std::tuple("{2,}", 2, 99), std::tuple("{2,4}", 2, 4),
        std::tuple("{0,2}", 0, 2), std::tuple("{,3}", 0, 3), std::tuple("{0}", 0, 0)}) {
    const auto grammar = MakeGrammar(fmt::format("root ::= (\"a\" | \"bc\"){}", bounds));
    std::string text;
    for (int count = 0; count < 7; ++count) {
      EXPECT_EQ(Take(grammar, text) == Taken::kWhole, count >= least && count <= most)
          << bounds << " " << count;
      text += count % 2 == 0 ? "a" : "bc";
    }
  }
  ExpectWhole(R"(root ::= "a"{2}{3} "b"?*)", {"aaaaaa", "aaaaaabb"});
  ExpectNotWhole(R"(root ::= "a"{2}{3})", {"aaaaa", "aaaaaaa"});
}

TEST(Grammar, ClassesOfCharacters) {
  ExpectWhole(R"(root ::= [a-c\]\-x]+)", {"abc]-x"});
  ExpectNotWhole(R"(root ::= [a-c\]\-x]+)", {"d", "\\", ""});
  ExpectWhole(R"(root ::= [^a-c\n])", {"d", "\u00E9", "\U0001F600", std::string(1, '\0')});
  ExpectNotWhole(R"(root ::= [^a-c\n])", {"b", "\n", "\xC3", "dd"});
  ExpectWhole("root ::= [a-]", {"a", "-"});
  ExpectWhole("root ::= . .", {"a\u4E2D", "\U0010FFFF\n"});
  ExpectNotWhole("root ::= []", {"", "a"});
  ExpectWhole("root ::= [\u00E9-\u4E2D]", {"\u00E9", "\u0400", "\u4E2D", "\u2581"});
  ExpectNotWhole("root ::= [\u00E9-\u4E2D]", {"\u00E8", "\u4E2E", "e", "\U00010400"});
}

// The automata of ranges against a comparison of numbers, around every length of UTF-8.
TEST(Grammar, RangesAreExact) {
  const uint32_t edges[] = {0,       1,       0x7E,    0x7F,     0x80,    0x7FE,  0x7FF,
                            0x800,   0xFFF,   0x1000,  0xD7FF,   0xE000,  0xFFFF, 0x10000,
                            0x3FFFF, 0x40000, 0xFFFF0, 0x10FFFE, 0x10FFFF};
  for (const uint32_t first : edges) {
    for (const uint32_t last : edges) {
      if (last < first) continue;
      const auto grammar = MakeGrammar(fmt::format("root ::= [\\U{:08X}-\\U{:08X}]", first, last));
      for (const uint32_t codepoint : edges) {
        std::string text;
        AppendUtf8(static_cast<int32_t>(codepoint), &text);
        const bool inside = codepoint >= first && codepoint <= last;
        EXPECT_EQ(Take(grammar, text), inside ? Taken::kWhole : Taken::kNo)
            << first << " " << last << " " << codepoint;
      }
      for (const char* stray : {"\x80", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"}) {
        EXPECT_NE(Take(grammar, stray), Taken::kWhole);
      }
    }
  }
}

TEST(Grammar, RulesCallEachOther) {
  const char* gbnf = R"g(# sums in parentheses
root  ::= expr "\n"   # the whole
expr  ::= term (
    "+" term          # new lines are spaces in here
  )*
term  ::= [0-9]+ | "(" expr ")"
  | "-" term
unused-rule ::=
)g";
  ExpectWhole(gbnf, {"1\n", "12+(3+4)+-5\n", "((((1))))\n"});
  ExpectNotWhole(gbnf, {"1", "1+\n", "(1\n", "1)\n", "+1\n"});
  // A parenthesis opened 2000 times.
  const std::string open(2000, '(');
  ExpectWhole(gbnf, {open + "1" + std::string(2000, ')') + "\n"});
}

TEST(Grammar, RecursionAtTheEndNeedsNoStack) {
  const auto grammar = MakeGrammar("root ::= \"a\" root | \"\"");
  GrammarMatcher matcher(grammar);
  GrammarMatcher::Position position;
  GrammarMatcher::Position next;
  ASSERT_TRUE(matcher.Start(&position));
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(matcher.Advance(position, 'a', &next));
    std::swap(position, next);
  }
  EXPECT_TRUE(position.complete);
  EXPECT_EQ(matcher.stack_nodes(), 1U);
}

TEST(Grammar, EmptyLoopsEnd) {
  ExpectWhole(R"(root ::= (("" | "a")* "")* ("" ""){3,})", {"", "aaa"});
  ExpectWhole("root ::= e e* \"x\"\ne ::= \"\" | e2\ne2 ::= \"\"", {"x"});
}

TEST(Grammar, WhatIsNotUnderstoodHasAPlace) {
  ExpectRefused("", ErrorCode::kUsage, "no rule 'root'");
  ExpectRefused("x ::= \"a\"", ErrorCode::kUsage, "no rule 'root'");
  ExpectRefused("root ::= \"a\" other", ErrorCode::kUsage, "'other' is not defined");
  ExpectRefused("root ::= \"a\"\nroot ::= \"b\"", ErrorCode::kUsage,
                "line 2, column 1: the rule 'root' is defined twice");
  ExpectRefused("root ::= \"a", ErrorCode::kUsage, "does not end");
  ExpectRefused("root ::= [a", ErrorCode::kUsage, "does not end");
  ExpectRefused("root ::= (\"a\"", ErrorCode::kUsage, "expected )");
  ExpectRefused("root ::= \"a\" )", ErrorCode::kUsage, "line 1, column 14: unexpected ')'");
  ExpectRefused("root = \"a\"", ErrorCode::kUsage, "expected ::=");
  ExpectRefused("root ::= [b-a]", ErrorCode::kUsage, "ends before it begins");
  ExpectRefused("root ::= \"\\q\"", ErrorCode::kUsage, "escape");
  ExpectRefused("root ::= \"\\x4\"", ErrorCode::kUsage, "hexadecimal");
  ExpectRefused("root ::= \"\\uD800\"", ErrorCode::kUsage, "no character");
  ExpectRefused("root ::= \"\xFF\"", ErrorCode::kUsage, "not UTF-8");
  ExpectRefused("root ::= \"a\"{3,2}", ErrorCode::kUsage, "at least 3 and at most 2");
  ExpectRefused("root ::= \"a\"{x}", ErrorCode::kUsage, "expected a number");
  ExpectRefused("root ::= *", ErrorCode::kUsage, "unexpected '*'");
}

TEST(Grammar, LeftRecursionIsRefusedByName) {
  ExpectRefused("root ::= root \"a\" | \"b\"", ErrorCode::kUsage,
                "the rule 'root' begins with itself");
  ExpectRefused("root ::= x\nx ::= \"\" y\ny ::= \"a\"? x", ErrorCode::kUsage, "left recursion");
  ExpectRefused("root ::= (\"a\"* root){2}", ErrorCode::kUsage, "left recursion");
  ExpectRefused("root ::= e root\ne ::= f\nf ::= \"\"", ErrorCode::kUsage, "left recursion");
  EXPECT_TRUE(CompileGrammar("root ::= e root | \"b\"\ne ::= f\nf ::= \"a\""));
}

TEST(Grammar, LimitsAreClear) {
  constexpr size_t kMany = 60'000;
  ExpectRefused("root ::= " + std::string(kMany, '(') + "\"a\"" + std::string(kMany, ')'),
                ErrorCode::kResource, "parentheses inside each other");
  ExpectRefused("root ::= \"a\"" + std::string(kMany, '?'), ErrorCode::kResource, "repetitions");
  ExpectRefused("root ::= \"a\"{100001}", ErrorCode::kResource, "more than 100000 times");
  ExpectRefused("root ::= \"a\"{99999999999}", ErrorCode::kResource, "more than 100000 times");
  std::string many;
  for (int i = 0; i < 30; ++i) many += " \"a\"{100000}";
  ExpectRefused("root ::=" + many, ErrorCode::kResource, "states");
  ExpectRefused(std::string(kMaxGrammarBytes + 1, '#'), ErrorCode::kResource, "bytes, at most");
  // Repetitions of repetitions share their states.
  EXPECT_TRUE(CompileGrammar("root ::= (((\"a\"{1000}){1000}){1000}){1000}"));
}

TEST(Grammar, AmbiguityHasALimit) {
  // Every letter may be one of many rules, and all of them stay open.
  std::string gbnf = "root ::= x*\nx ::= ";
  for (int i = 0; i < 5000; ++i) gbnf += fmt::format("{}\"a\" \"{}\"", i == 0 ? "" : " | ", i);
  GrammarMatcher matcher(MakeGrammar(gbnf));
  GrammarMatcher::Position position;
  EXPECT_FALSE(matcher.Start(&position));
}

}  // namespace
}  // namespace llmrun
