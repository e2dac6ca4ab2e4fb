#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>

namespace llmrun {
namespace {

using Pieces = std::vector<std::string>;

Pieces Cut(std::string_view name, std::string_view text, bool jit = true) {
  const auto pre = PreTokenizer::Create(name, jit);
  EXPECT_TRUE(pre.has_value()) << pre.error().OneLine();
  Pieces pieces;
  size_t begin = 0;
  for (const size_t end : pre->Split(text)) {
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(begin, text.size());
  return pieces;
}

std::vector<std::string_view> AllNames() {
  std::vector<std::string_view> names;
  for (const PreTokenizerRule& rule : AllPreTokenizerRules()) {
    names.insert(names.end(), rule.names.begin(), rule.names.end());
  }
  return names;
}

TEST(PreTokenizer, KnowsEachNameOnce) {
  const auto names = AllNames();
  EXPECT_EQ(std::set(names.begin(), names.end()).size(), names.size());
  for (const char* name : {"gpt-2",        "llama-bpe",      "llama3",
                           "deepseek-llm", "deepseek-coder", "falcon",
                           "qwen2",        "starcoder",      "smollm",
                           "mpt",          "refact",         "gpt-4o",
                           "tekken",       "command-r",      "stablelm2",
                           "olmo",         "dbrx",           "default",
                           "qwen35",       "deepseek-v3",    "deepseek-r1-qwen",
                           "falcon3",      "chatglm-bpe",    "viking",
                           "jais",         "poro-chat",      "bloom",
                           "gpt3-finnish", "codeshell",      "exaone",
                           "minerva-7b",   "seed-coder",     "superbpe",
                           "trillion",     "hunyuan",        "kimi-k2",
                           "llama4",       "pixtral",        "lfm2",
                           "bailingmoe"}) {
    EXPECT_TRUE(PreTokenizer::Create(name).has_value()) << name;
    EXPECT_NE(KnownPreTokenizers().find(name), std::string::npos) << name;
  }
  EXPECT_EQ(FindPreTokenizerRule(""), FindPreTokenizerRule("default"));
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ(Cut("gpt-2", "It's 1234 dogs, I'LL say\n\n  \tok "),
            (Pieces{"It", "'s", " 1234", " dogs", ",", " I", "'", "LL", " say", "\n\n  ", "\t",
                    "ok", " "}));
  EXPECT_EQ(Cut("gpt-2", "caf\u00E9 \u4E2D\u6587\u3000x\u00B2"),
            (Pieces{"caf\u00E9", " \u4E2D\u6587", "\u3000", "x", "\u00B2"}));
}

TEST(PreTokenizer, Llama3) {
  EXPECT_EQ(Cut("llama-bpe", "It'S 1234567, a.b !!\n\n x\r\n"),
            (Pieces{"It", "'S", " ", "123", "456", "7", ",", " a", ".b", " !!\n\n", " x", "\r\n"}));
  EXPECT_EQ(Cut("dbrx", "12345"), (Pieces{"123", "45"}));
}

TEST(PreTokenizer, Qwen2) {
  EXPECT_EQ(Cut("qwen2", "a 123\t\tb"), (Pieces{"a", " ", "1", "2", "3", "\t", "\tb"}));
}

TEST(PreTokenizer, Starcoder) {
  EXPECT_EQ(Cut("starcoder", "x 42;"), (Pieces{"x", " ", "4", "2", ";"}));
}

TEST(PreTokenizer, Falcon) {
  EXPECT_EQ(Cut("falcon", "x=1234 (a)"), (Pieces{"x", "=", "123", "4", " ", "(", "a", ")"}));
}

TEST(PreTokenizer, Default) {
  EXPECT_EQ(Cut("default", "a 1234!"), (Pieces{"a", " ", "123", "4", "!"}));
}

TEST(PreTokenizer, TekkenAndGpt4o) {
  EXPECT_EQ(Cut("tekken", "HelloWORLD'S 42 a/b//\n"),
            (Pieces{"Hello", "WORLD", "'S", " ", "4", "2", " a", "/b", "//\n"}));
  EXPECT_EQ(Cut("gpt-4o", "HelloWORLD'S 1234"), (Pieces{"Hello", "WORLD'S", " ", "123", "4"}));
}

TEST(PreTokenizer, Deepseek) {
  EXPECT_EQ(Cut("deepseek-llm", "ab 12,\u4E2D\u6587  x\n \n  "),
            (Pieces{"ab", " ", "12", ",", "\u4E2D\u6587", " ", " x", "\n", " ", "\n", "  "}));
  // Letters without case are not in its list of letters, nor is U+01BB.
  EXPECT_EQ(Cut("deepseek-llm", "a\u01BBb"), (Pieces{"a", "\u01BB", "b"}));
  EXPECT_EQ(Cut("deepseek-coder", "ab 12."), (Pieces{"ab", " ", "1", "2", "."}));
  EXPECT_EQ(Cut("deepseek-v3", "ab 1234 \u304B\u30AB."),
            (Pieces{"ab", " ", "123", "4", " ", "\u304B\u30AB", "."}));
}

// Expected: what the published expressions give when run by another engine (Python's regex).
TEST(PreTokenizer, Qwen35KeepsMarksInWords) {
  EXPECT_EQ(Cut("qwen35", "e\u0301a \u0301!"), (Pieces{"e\u0301a", " \u0301", "!"}));
  EXPECT_EQ(Cut("qwen2", "e\u0301a"), (Pieces{"e", "\u0301a"}));
}

TEST(PreTokenizer, ClausesOfBloomAndViking) {
  EXPECT_EQ(Cut("bloom", "Hi there, you(12)  x"),
            (Pieces{"Hi", " there", ",", " you", "(", "12", ") ", " x"}));
  EXPECT_EQ(Cut("viking", "a12."), (Pieces{"a", "1", "2", "."}));
}

TEST(PreTokenizer, SuperBpeCountsThreesFromTheRight) {
  EXPECT_EQ(Cut("superbpe", "a1234567b"), (Pieces{"a", "1", "234", "567", "b"}));
  EXPECT_EQ(Cut("superbpe", "12"), (Pieces{"12"}));
  EXPECT_EQ(Cut("superbpe", "123456"), (Pieces{"123", "456"}));
  EXPECT_EQ(Cut("superbpe", "12345 1"), (Pieces{"12", "345", " ", "1"}));
}

TEST(PreTokenizer, SeedCoderBailingMoeMiniCpm) {
  EXPECT_EQ(Cut("seed-coder", "a!!\n12"), (Pieces{"a", "!!", "\n", "1", "2"}));
  EXPECT_EQ(Cut("bailingmoe", "It'D \n\n x!\n"), (Pieces{"It", "'D", " \n\n", " x", "!\n"}));
  EXPECT_EQ(Cut("minicpm5", "ab 1234"), (Pieces{"ab", " ", "123", "4"}));
}

TEST(PreTokenizer, KimiK2CutsHanFromLetters) {
  EXPECT_EQ(Cut("kimi-k2", "ab\u4E2D\u6587cd getUserName 1234"),
            (Pieces{"ab", "\u4E2D\u6587", "cd", " get", "User", "Name", " ", "123", "4"}));
}

// U+180E lost its white space property in Unicode 6.3; PCRE2's own \s still has it.
TEST(PreTokenizer, WhiteSpaceIsThatOfUnicode) {
  EXPECT_EQ(Cut("gpt-2", "!\u180E!"), (Pieces{"!\u180E!"}));
  EXPECT_EQ(Cut("gpt-2", "!\u0085!"), (Pieces{"!", "\u0085", "!"}));
}

TEST(PreTokenizer, LongSIsNoContraction) {
  EXPECT_EQ(Cut("llama-bpe", "a'\u017F"), (Pieces{"a", "'\u017F"}));
}

class EveryPreTokenizer : public testing::TestWithParam<std::string_view> {};

TEST_P(EveryPreTokenizer, TakesAnyBytes) {
  EXPECT_EQ(Cut(GetParam(), ""), Pieces{});
  for (const std::string& text :
       {std::string("\xFF"), std::string("a\xC3"), std::string("\xE4\xB8 \x80\xED\xA0\x80z"),
        std::string("\0\0", 2), std::string("\xF4\x90\x80\x80")}) {
    const Pieces pieces = Cut(GetParam(), text);
    std::string joined;
    for (const std::string& piece : pieces) {
      EXPECT_FALSE(piece.empty());
      joined += piece;
    }
    EXPECT_EQ(joined, text);
  }
}

// Runs that some alternative begins and only their end decides, with and without compilation to
// machine code. With a quadratic expression each takes minutes, and the test runner's limit ends
// it.
TEST_P(EveryPreTokenizer, IsLinear) {
  constexpr size_t kRun = 1 << 18;
  const auto compiled = PreTokenizer::Create(GetParam());
  const auto interpreted = PreTokenizer::Create(GetParam(), /*jit=*/false);
  ASSERT_TRUE(compiled && interpreted);
  for (const char unit : {' ', '\n', 'A', 'a', '.', '7', '\t'}) {
    for (const char* tail : {"z", "\u4E2D", "\x01"}) {
      const std::string text = std::string(kRun, unit) + tail;
      const std::vector<size_t> ends = compiled->Split(text);
      ASSERT_FALSE(ends.empty());
      EXPECT_EQ(ends.back(), text.size()) << "unit " << int{unit} << " tail " << tail;
      EXPECT_EQ(std::ranges::adjacent_find(ends, std::greater_equal<>()), ends.end());
      EXPECT_TRUE(interpreted->Split(text) == ends);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, EveryPreTokenizer,
                         testing::Values("gpt-2", "llama-bpe", "qwen2", "starcoder", "falcon",
                                         "tekken", "gpt-4o", "deepseek-llm", "deepseek-coder",
                                         "deepseek-v3", "default", "qwen35", "seed-coder",
                                         "bailingmoe", "minicpm5", "bloom", "viking", "superbpe",
                                         "kimi-k2"),
                         [](const auto& test) {
                           std::string name(test.param);
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace llmrun
