#include "text/wpm_tokenizer.h"

#include "tests/text/vocabularies.h"
#include "text/bert_words.h"

namespace llmrun {
namespace {

std::vector<std::string> WordsOf(std::string_view text, BertNormalization normalization = {}) {
  std::vector<std::string> words;
  ForEachBertWord(text, normalization, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

using Words = std::vector<std::string>;

TEST(BertWords, CutsAtSpacesPunctuationAndIdeographs) {
  EXPECT_EQ(WordsOf("Hello, World!"), (Words{"hello", ",", "world", "!"}));
  EXPECT_EQ(WordsOf("a\u4E2D\u6587b"), (Words{"a", "\u4E2D", "\u6587", "b"}));
  EXPECT_EQ(WordsOf(" \t\n\u00A0\u3000\u0085x\u2028y "), (Words{"x", "y"}));
  EXPECT_EQ(WordsOf("a$b+c~d\u00A3e"), (Words{"a", "$", "b", "+", "c", "~", "d\u00A3e"}));
  EXPECT_EQ(WordsOf("\u201Cq\u201D\u2014\u3002"),
            (Words{"\u201C", "q", "\u201D", "\u2014", "\u3002"}));
  EXPECT_EQ(WordsOf(""), Words{});
}

TEST(BertWords, DropsWhatIsNoText) {
  EXPECT_EQ(WordsOf("a\x01\x7F\u200B\u00AD\uFEFF\uFFFD\xFF\xC3z"), Words{"az"});
  EXPECT_EQ(WordsOf(std::string("a\0b", 3)), Words{"ab"});
}

TEST(BertWords, CaseAndAccents) {
  EXPECT_EQ(WordsOf("\u00C9t\u00E9 e\u0301 \u00D1"), (Words{"ete", "e", "n"}));
  EXPECT_EQ(WordsOf("\u00C9t\u00E9", {.lowercase = true, .strip_accents = false}),
            Words{"\u00E9t\u00E9"});
  EXPECT_EQ(WordsOf("\u00C9A", {.lowercase = false, .strip_accents = false}), Words{"\u00C9A"});
  EXPECT_EQ(WordsOf("\u00C9A", {.lowercase = false, .strip_accents = true}), Words{"EA"});
}

TokenizerSpec WordPieceSpec() {
  TokenizerSpec spec;
  spec.model = "bert";
  AddToken(&spec, "[PAD]", TokenType::kControl);
  AddToken(&spec, "[UNK]", TokenType::kUnknown);
  AddToken(&spec, "[CLS]", TokenType::kControl);
  AddToken(&spec, "[SEP]", TokenType::kControl);
  for (const char* piece : {"\u2581un", "\u2581una", "aff", "able", "\u2581,", "a", "\u2581a"}) {
    AddToken(&spec, piece);
  }
  spec.unk = 1;
  spec.bos = 2;
  spec.sep = 3;
  return spec;
}

TEST(WpmTokenizer, TakesTheLongestFirst) {
  const auto tokenizer = MakeTokenizer(WordPieceSpec());
  EXPECT_EQ(tokenizer->Encode("Unaffable", {}), Ids{1});  // una, then nothing begins with "ff"
  EXPECT_EQ(tokenizer->Encode("una, a", {}), (Ids{5, 8, 10}));
  EXPECT_EQ(tokenizer->Encode("unaaable", {}), (Ids{5, 9, 7}));
  EXPECT_EQ(tokenizer->Encode("b a", {}), (Ids{1, 10}));
}

TEST(WpmTokenizer, WrapsTextsInTwoTokens) {
  const auto tokenizer = MakeTokenizer(WordPieceSpec());
  EXPECT_EQ(tokenizer->Encode("a", {.add_special = true}), (Ids{2, 10, 3}));
  EXPECT_EQ(tokenizer->Encode("", {.add_special = true}), (Ids{2, 3}));
  EXPECT_EQ(tokenizer->Encode("a[SEP]a", {.parse_special = true}), (Ids{10, 3, 10}));
  TokenizerSpec spec = WordPieceSpec();
  spec.add_bos = false;
  spec.add_sep = false;
  EXPECT_EQ(MakeTokenizer(spec)->Encode("a", {.add_special = true}), Ids{10});
  spec = WordPieceSpec();
  spec.sep = 999;  // of another vocabulary
  EXPECT_EQ(MakeTokenizer(spec)->Encode("a", {.add_special = true}), (Ids{2, 10}));
}

TEST(WpmTokenizer, ShowsSpacesBetweenWords) {
  const auto tokenizer = MakeTokenizer(WordPieceSpec());
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("una unaable", {})), " una unaable");
}

TEST(WpmTokenizer, LongRunsTakeLinearTime) {
  const auto tokenizer = MakeTokenizer(WordPieceSpec());
  constexpr size_t kRun = 1 << 20;
  EXPECT_EQ(tokenizer->Encode(std::string(kRun, 'a'), {}).size(), kRun);
  EXPECT_EQ(tokenizer->Encode(std::string(kRun, 'x'), {}), Ids{1});
  EXPECT_EQ(tokenizer->Encode(std::string(kRun, ' '), {}), Ids{});
}

}  // namespace
}  // namespace llmrun
