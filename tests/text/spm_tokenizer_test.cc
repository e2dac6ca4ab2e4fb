#include "text/spm_tokenizer.h"

#include "tests/text/vocabularies.h"

namespace llmrun {
namespace {

constexpr EncodeOptions kSpecial = {.add_special = true, .parse_special = true};

// Ids from kFirstPiece: 0 U+2581, 1 a, 2 b, 3 c, 4 ab, 5 bc, 6 abc, 7 U+2581 a, 8 aa, 9 aaaa.
TokenizerSpec LettersSpec() {
  return SentencePieceSpec({{"\u2581", -1},
                            {"a", -1},
                            {"b", -1},
                            {"c", -1},
                            {"ab", -3},
                            {"bc", -2},
                            {"abc", -4},
                            {"\u2581a", -5},
                            {"aa", -6},
                            {"aaaa", -7}});
}

Ids PieceIds(std::initializer_list<int> offsets) {
  Ids ids;
  for (const int offset : offsets) ids.push_back(kFirstPiece + offset);
  return ids;
}

TEST(SpmTokenizer, JoinsTheBestScoreFirst) {
  TokenizerSpec spec = LettersSpec();
  spec.add_space_prefix = false;
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Encode("abc", {}), PieceIds({6}));  // bc (-2), then a+bc
  EXPECT_EQ(tokenizer->Encode("abcb", {}), PieceIds({6, 2}));
  EXPECT_EQ(tokenizer->Encode("aab", {}), PieceIds({1, 4}));  // ab before aa
  EXPECT_EQ(tokenizer->Encode("aaa", {}), PieceIds({8, 1}));  // of equals the leftmost
  EXPECT_EQ(tokenizer->Encode("aaaaa", {}), PieceIds({9, 1}));
  EXPECT_EQ(tokenizer->Encode("", {}), Ids{});
}

TEST(SpmTokenizer, PutsASpaceBeforeTheText) {
  const auto tokenizer = MakeTokenizer(LettersSpec());
  EXPECT_EQ(tokenizer->Encode("a", {}), PieceIds({7}));
  EXPECT_EQ(tokenizer->Encode(" a", {}), PieceIds({0, 7}));
  EXPECT_EQ(tokenizer->Encode("b a", {}), PieceIds({0, 2, 7}));
  EXPECT_EQ(tokenizer->Encode("", {}), Ids{});
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("b a", {})), " b a");
}

TEST(SpmTokenizer, PutsASpaceAfterEachSpecialToken) {
  const auto tokenizer = MakeTokenizer(LettersSpec());
  Ids expected = {1, 2, kFirstPiece + 7, 0, kFirstPiece + 0, kFirstPiece + 2};
  EXPECT_EQ(tokenizer->Encode("</s>a<unk>b", kSpecial), expected);
  EXPECT_EQ(tokenizer->Encode("", kSpecial), Ids{1});
}

TEST(SpmTokenizer, ControlTokensInPlainTextAreText) {
  TokenizerSpec spec = LettersSpec();
  // Pieces that merging could build "</s>" from.
  AddToken(&spec, "<");
  AddToken(&spec, "</");
  AddToken(&spec, "s>");
  const auto tokenizer = MakeTokenizer(spec);
  const Ids ids = tokenizer->Encode("</s>", {});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 2), 0);
  EXPECT_EQ(tokenizer->Decode(ids), " </s>");
}

TEST(SpmTokenizer, NamesOfBytesInTextAreText) {
  TokenizerSpec spec = LettersSpec();
  for (const char* piece : {"<", "0", "x", "A", ">", "<0", "<0x", "<0x0", "<0x0A"}) {
    AddToken(&spec, piece);
  }
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("<0x0A>", {})), " <0x0A>");
}

TEST(SpmTokenizer, FallsBackToBytes) {
  const auto tokenizer = MakeTokenizer(LettersSpec());
  EXPECT_EQ(tokenizer->Encode("b\u00E9\xFF", {}),
            (Ids{kFirstPiece, kFirstPiece + 2, SpmByte(0xC3), SpmByte(0xA9), SpmByte(0xFF)}));
  EXPECT_EQ(tokenizer->Decode(SpmByte(0xC3)), "\xC3");
  EXPECT_EQ(tokenizer->Decode(SpmByte(0)), std::string(1, '\0'));
}

TEST(SpmTokenizer, AnyBytesComeBack) {
  TokenizerSpec spec = LettersSpec();
  spec.add_space_prefix = false;
  const auto tokenizer = MakeTokenizer(spec);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 151 + i / 7);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, {})), text);
}

TEST(SpmTokenizer, WithoutByteTokensACharacterIsUnknown) {
  TokenizerSpec spec;
  spec.model = "llama";
  AddToken(&spec, "<unk>", TokenType::kUnknown);
  AddToken(&spec, "a");
  AddToken(&spec, "<0xC3>", TokenType::kByte);  // only half of U+00E9
  spec.add_bos = false;
  spec.add_space_prefix = false;
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Encode("a\u00E9\u4E2Da", {}), (Ids{1, 0, 0, 1}));
  EXPECT_EQ(tokenizer->Encode("\xC3", {}), Ids{2});
}

TEST(SpmTokenizer, UserDefinedTokensAreAlwaysTaken) {
  TokenizerSpec spec = LettersSpec();
  const TokenId spaces = AddToken(&spec, "  ", TokenType::kUserDefined);
  const TokenId tag = AddToken(&spec, "<tag>", TokenType::kUserDefined);
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Encode("a  <tag>a", {}),
            (Ids{kFirstPiece + 7, spaces, tag, kFirstPiece + 7}));
  EXPECT_EQ(tokenizer->Decode(tag), "<tag>");
}

TEST(SpmTokenizer, DefaultsOfTheKind) {
  TokenizerSpec spec = LettersSpec();
  spec.types.clear();
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->spec().bos, 1);
  EXPECT_EQ(tokenizer->spec().eos, 2);
  EXPECT_EQ(tokenizer->spec().unk, 0);
  EXPECT_EQ(tokenizer->Encode("a", {.add_special = true}), (Ids{1, kFirstPiece + 7}));
  EXPECT_EQ(tokenizer->Encode("\xFF", {}), (Ids{kFirstPiece, SpmByte(0xFF)}));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(2));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(1));

  spec.add_bos = false;
  spec.add_eos = true;
  EXPECT_EQ(MakeTokenizer(spec)->Encode("a", {.add_special = true}), (Ids{kFirstPiece + 7, 2}));
}

TEST(SpmTokenizer, LongRunsNeedNoStackAndLittleTime) {
  TokenizerSpec spec = LettersSpec();
  spec.add_space_prefix = false;
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Encode(std::string(1 << 20, 'a'), {}), Ids(1 << 18, kFirstPiece + 9));
  EXPECT_EQ(tokenizer->Encode(std::string(1 << 20, '\n'), {}), Ids(1 << 20, SpmByte('\n')));
}

TEST(SpmTokenizer, RefusesMalformedByteTokens) {
  for (const char* name : {"<0x>", "<0xG0>", "<0x0", "0x0A", "<0x0A0>", ""}) {
    TokenizerSpec spec = LettersSpec();
    AddToken(&spec, name, TokenType::kByte);
    EXPECT_EQ(CreateError(spec, "not <0xNN>"), ErrorCode::kBadData) << name;
  }
}

}  // namespace
}  // namespace llmrun
