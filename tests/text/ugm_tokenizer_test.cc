#include "text/ugm_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/text/charsmap_bytes.h"
#include "tests/text/vocabularies.h"

namespace llmrun {
namespace {

TokenizerSpec UnigramSpec(const std::vector<Piece>& pieces) {
  TokenizerSpec spec;
  spec.model = "t5";
  AddToken(&spec, "<pad>", TokenType::kControl);
  AddToken(&spec, "</s>", TokenType::kControl);
  AddToken(&spec, "<unk>", TokenType::kUnknown);
  for (const Piece& piece : pieces) AddToken(&spec, piece.text, TokenType::kNormal, piece.score);
  return spec;
}
constexpr TokenId kPiece = 3;

// All ways to cut a text, by recursion: the best sum of scores, with an unknown character at ten
// below the least score.
double BestSum(const std::vector<Piece>& pieces, std::string_view text) {
  if (text.empty()) return 0;
  double least = 0;
  double best = -std::numeric_limits<double>::infinity();
  bool covered = false;
  for (const Piece& piece : pieces) {
    least = std::min(least, double{piece.score});
    if (!text.starts_with(piece.text)) continue;
    covered = covered || piece.text.size() == 1;
    best = std::max(best, piece.score + BestSum(pieces, text.substr(piece.text.size())));
  }
  if (!covered) best = std::max(best, least - 10 + BestSum(pieces, text.substr(1)));
  return best;
}

TEST(UgmTokenizer, FindsTheBestOfAllCuts) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same every time
  for (int round = 0; round < 300; ++round) {
    std::vector<Piece> pieces;
    for (const char* text : {"a", "b", "ab", "ba", "aab", "bab", "abba", "aa", "bb"}) {
      if (random() % 3 != 0) {
        pieces.push_back({text, -static_cast<float>(random() % 1000) / 100 - 0.5F});
      }
    }
    const auto tokenizer = MakeTokenizer(UnigramSpec(pieces));
    std::string text;
    while (text.size() < 9) text += random() % 5 == 0 ? 'c' : (random() % 2 == 0 ? 'a' : 'b');
    double sum = 0;
    double least = 0;
    for (const Piece& piece : pieces) least = std::min(least, double{piece.score});
    std::string covered;
    for (const TokenId id : tokenizer->Encode(text, {})) {
      if (id >= kPiece) sum += double{tokenizer->spec().scores[static_cast<size_t>(id)]};
      covered += id >= kPiece ? tokenizer->spec().tokens[static_cast<size_t>(id)] : "";
    }
    // Every character that no token covers costs the same, whether or not it is in a row of them.
    sum += static_cast<double>(text.size() - covered.size()) * (least - 10);
    EXPECT_NEAR(sum, BestSum(pieces, text), 1e-9) << text;
  }
}

TEST(UgmTokenizer, UnknownsInARowAreOne) {
  const auto tokenizer = MakeTokenizer(UnigramSpec({{"a", -1}}));
  EXPECT_EQ(tokenizer->Encode("xyza\u4E2Da", {}), (Ids{2, kPiece, 2, kPiece}));
  EXPECT_EQ(tokenizer->Encode("a", {.add_special = true}), (Ids{kPiece, 1}));
}

TEST(UgmTokenizer, BytesWhereThereAreByteTokens) {
  TokenizerSpec spec = UnigramSpec({{"a", -1}});
  AddToken(&spec, "<0x78>", TokenType::kByte);
  const TokenId first = AddToken(&spec, "<0xC3>", TokenType::kByte);
  const TokenId second = AddToken(&spec, "<0xA9>", TokenType::kByte);
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Encode("a\u00E9xx", {}), (Ids{kPiece, first, second, first - 1, first - 1}));
  EXPECT_EQ(tokenizer->Encode("\u00E8", {}), Ids{2});  // of whose second byte there is no token
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a\u00E9", {})), "a\u00E9");
}

TEST(UgmTokenizer, Spaces) {
  TokenizerSpec spec = UnigramSpec({{"\u2581", -2}, {"a", -1}, {"\u2581a", -1}});
  const TokenId mark = kPiece;
  const TokenId a = kPiece + 1;
  const TokenId word = kPiece + 2;
  EXPECT_EQ(MakeTokenizer(spec)->Encode(" a  a ", {}), (Ids{word, mark, word, mark}));
  spec.add_space_prefix = true;
  EXPECT_EQ(MakeTokenizer(spec)->Encode("aa", {}), (Ids{word, a}));
  EXPECT_EQ(MakeTokenizer(spec)->Encode(" a", {}), (Ids{mark, word}));
  spec.remove_extra_whitespaces = true;
  EXPECT_EQ(MakeTokenizer(spec)->Encode("  a   aa  ", {}), (Ids{word, word, a}));
  EXPECT_EQ(MakeTokenizer(spec)->Encode("   ", {}), Ids{});
  spec.add_space_prefix = false;
  EXPECT_EQ(MakeTokenizer(spec)->Encode("  a a", {}), (Ids{a, word}));
}

TEST(UgmTokenizer, CharacterMap) {
  const CharsmapBuilder charsmap({{"\uFF41", "a"},        // full width
                                  {"\uFF41\u0301", "b"},  // the longest counts
                                  {"\t", " "},
                                  {"\u00AD", ""}});
  TokenizerSpec spec = UnigramSpec({{"a", -1}, {"b", -1}, {"\u2581", -1}, {"\uFFFD", -1}});
  spec.precompiled_charsmap = charsmap.Bytes();
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Encode("\uFF41a\uFF41\u0301", {}), (Ids{kPiece, kPiece, kPiece + 1}));
  EXPECT_EQ(tokenizer->Encode("\t\u00AD", {}), Ids{kPiece + 2});
  EXPECT_EQ(tokenizer->Encode("\xEF\xBD", {}), (Ids{kPiece + 3, kPiece + 3}));  // half of U+FF41
  EXPECT_EQ(tokenizer->Encode(std::string(1, '\0'), {}), Ids{2});
}

TEST(UgmTokenizer, RefusesDamagedCharacterMaps) {
  TokenizerSpec spec = UnigramSpec({{"a", -1}});
  for (const std::string& bytes :
       {std::string("abc"), std::string("\x08\0\0\0abcd", 8), std::string("\x03\0\0\0abcd\0", 9),
        std::string("\xFF\xFF\xFF\xFF\0\0\0\0", 8)}) {
    spec.precompiled_charsmap = bytes;
    EXPECT_EQ(CreateError(spec, "precompiled_charsmap"), ErrorCode::kBadData);
  }
  spec.precompiled_charsmap = std::string("\x04\0\0\0abcdx", 9);
  EXPECT_EQ(CreateError(spec, "does not end"), ErrorCode::kBadData);
  spec = UnigramSpec({{"a", -1}});
  spec.scores.clear();
  EXPECT_EQ(CreateError(spec, "has no scores"), ErrorCode::kBadData);
}

// Whatever the array says, nothing outside it is looked at.
TEST(UgmTokenizer, AnyArrayIsSafe) {
  std::mt19937 random(3);  // NOLINT(cert-msc51-cpp): the same every time
  for (int round = 0; round < 2000; ++round) {
    std::string array;
    while (array.size() < 512) array += static_cast<char>(random());
    TokenizerSpec spec = UnigramSpec({{"a", -1}});
    spec.precompiled_charsmap = std::string("\0\x02\0\0", 4) + array + "xyz" + '\0';
    std::string text;
    while (text.size() < 64) text += static_cast<char>(random());
    MakeTokenizer(spec)->Encode(text, {});
  }
}

TEST(UgmTokenizer, LongRunsTakeLinearTime) {
  const auto tokenizer = MakeTokenizer(UnigramSpec({{"a", -2}, {"aaaa", -3}, {"aa", -2.5F}}));
  constexpr size_t kRun = 1 << 20;
  EXPECT_EQ(tokenizer->Encode(std::string(kRun, 'a'), {}), Ids(kRun / 4, kPiece + 1));
  EXPECT_EQ(tokenizer->Encode(std::string(kRun, 'x'), {}), Ids{2});
}

}  // namespace
}  // namespace llmrun
