// What holds for every kind of tokenizer: checking the spec, special tokens, end of generation.
#include "text/tokenizer.h"

#include <limits>

#include "tests/text/vocabularies.h"
#include "text/token_trie.h"
#include "text/tokenizer_check.h"

namespace llmrun {
namespace {

constexpr EncodeOptions kParse = {.parse_special = true};

TEST(TokenTrie, TakesTheLongestAtAPosition) {
  TokenTrie matcher;
  EXPECT_FALSE(matcher.LongestAt("abc", 0).has_value());
  matcher.Add("ab", 1);
  matcher.Add("abcd", 2);
  matcher.Add("", 3);
  matcher.Add("b", 4);
  EXPECT_EQ(matcher.LongestAt("abcx", 0)->id, 1);
  EXPECT_EQ(matcher.LongestAt("abcd", 0)->id, 2);
  EXPECT_EQ(matcher.LongestAt("abcd", 0)->bytes, 4U);
  EXPECT_EQ(matcher.LongestAt("xabc", 2)->id, 4);
  EXPECT_FALSE(matcher.LongestAt("xa", 1).has_value());
  matcher.Add("ab", 9);
  EXPECT_EQ(matcher.LongestAt("ab", 0)->id, 9);
}

TEST(Tokenizer, CutsSpecialTokensOut) {
  TokenizerSpec spec = BytePairSpec({});
  const TokenId user = AddToken(&spec, "<u>", TokenType::kUserDefined);
  const TokenId control = AddToken(&spec, "<c>", TokenType::kControl);
  const TokenId longer = AddToken(&spec, "<c><c>!", TokenType::kControl);
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Encode("a<u>b<c>", {}), (Ids{'a', user, 'b', '<', 'c', '>'}));
  EXPECT_EQ(tokenizer->Encode("a<u>b<c>", kParse), (Ids{'a', user, 'b', control}));
  EXPECT_EQ(tokenizer->Encode("<c><c><c>!<c", kParse), (Ids{control, longer, '<', 'c'}));
  EXPECT_EQ(tokenizer->Encode("<u><u>", {}), (Ids{user, user}));
}

TEST(Tokenizer, KnowsTheTokensThatEndAnAnswer) {
  TokenizerSpec spec = BytePairSpec({});
  const TokenId eos = AddToken(&spec, "<eos>", TokenType::kControl);
  const TokenId eot = AddToken(&spec, "<eot>", TokenType::kControl);
  const TokenId im_end = AddToken(&spec, "<|im_end|>");  // typed as a normal token
  const TokenId other = AddToken(&spec, "<|im_start|>", TokenType::kControl);
  spec.eos = eos;
  spec.eot = eot;
  const auto tokenizer = MakeTokenizer(spec);
  for (const TokenId id : {eos, eot, im_end}) EXPECT_TRUE(tokenizer->IsEndOfGeneration(id));
  for (const TokenId id : {other, TokenId{0}, TokenId{-1}, TokenId{100'000}}) {
    EXPECT_FALSE(tokenizer->IsEndOfGeneration(id));
  }
  EXPECT_EQ(tokenizer->Encode("<|im_end|>", kParse), Ids{im_end});
  EXPECT_EQ(tokenizer->Encode("<|im_end|>", {}).size(), 10U);
  EXPECT_EQ(tokenizer->Decode(im_end), "");
}

TEST(Tokenizer, LaterOfEqualTextsCounts) {
  TokenizerSpec spec = BytePairSpec({});
  const TokenId again = AddToken(&spec, "a");
  AddToken(&spec, "");
  EXPECT_EQ(MakeTokenizer(spec)->Encode("a", {}), Ids{again});
}

TEST(Tokenizer, RefusesUnknownKinds) {
  TokenizerSpec spec = BytePairSpec({});
  for (const char* model : {"rwkv", "", "Llama"}) {
    spec.model = model;
    EXPECT_EQ(CreateError(spec, fmt::format("unknown tokenizer model '{}'", model)),
              ErrorCode::kUnavailable);
  }
}

class BadSpec : public testing::TestWithParam<const char*> {
 protected:
  static TokenizerSpec Good() {
    return GetParam() == std::string_view("gpt2") ? BytePairSpec({"a b"})
                                                  : SentencePieceSpec({{"a", 0}});
  }
};

TEST_P(BadSpec, ArraysOfOtherLengths) {
  TokenizerSpec spec = Good();
  spec.tokens.clear();
  EXPECT_EQ(CreateError(spec, "no tokens"), ErrorCode::kBadData);
  spec = Good();
  spec.types.pop_back();
  EXPECT_EQ(CreateError(spec, "types for"), ErrorCode::kBadData);
  spec = Good();
  spec.scores.push_back(0);
  EXPECT_EQ(CreateError(spec, "scores for"), ErrorCode::kBadData);
}

TEST_P(BadSpec, IdsOutsideTheVocabulary) {
  using Field = std::optional<TokenId> TokenizerSpec::*;
  for (const Field field :
       {&TokenizerSpec::bos, &TokenizerSpec::eos, &TokenizerSpec::unk, &TokenizerSpec::eot}) {
    for (const TokenId id : {-1, 100'000}) {
      TokenizerSpec spec = Good();
      spec.*field = id;
      EXPECT_EQ(CreateError(spec, "is outside the vocabulary"), ErrorCode::kBadData);
    }
  }
  // Published files have wrong ones of these, and nothing depends on them.
  TokenizerSpec spec = Good();
  spec.pad = 100'000;
  spec.sep = -1;
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_FALSE(tokenizer->spec().pad.has_value());
  EXPECT_FALSE(tokenizer->spec().sep.has_value());
}

TEST_P(BadSpec, ScoresAndTokensOutOfBounds) {
  TokenizerSpec spec = Good();
  spec.scores[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(CreateError(spec, "score of token 5"), ErrorCode::kBadData);
  spec = Good();
  spec.tokens[7] = std::string(kMaxTokenBytes + 1, 'x');
  EXPECT_EQ(CreateError(spec, "token 7 has 16385 bytes"), ErrorCode::kBadData);
}

TEST_P(BadSpec, AddsWhatItDoesNotName) {
  TokenizerSpec spec = Good();
  spec.tokens.resize(1);  // no room for the customary ids either
  spec.types.resize(1);
  spec.scores.resize(1);
  spec.merges.clear();
  spec.add_bos = true;
  EXPECT_EQ(CreateError(spec, "add a BOS token"), ErrorCode::kBadData);
  spec.add_bos = false;
  spec.add_eos = true;
  EXPECT_EQ(CreateError(spec, "add a EOS token"), ErrorCode::kBadData);
}

INSTANTIATE_TEST_SUITE_P(Kinds, BadSpec, testing::Values("gpt2", "llama"));

TEST(Utf8Stream, HoldsBackIncompleteCharacters) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("a\xE4"), "a");
  EXPECT_EQ(stream.Push("\xB8"), "");
  EXPECT_EQ(stream.Push("\xAD"
                        "b"),
            "\u4E2D"
            "b");
  EXPECT_EQ(stream.Push("\xF0\x9F"), "");
  EXPECT_EQ(stream.Push("\x98\x80\xC3"), "\U0001F600");
  EXPECT_EQ(stream.Flush(), "\xC3");
  EXPECT_EQ(stream.Flush(), "");
}

TEST(Utf8Stream, LetsStrayBytesThrough) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("\x80\xFF"), "\x80\xFF");
  EXPECT_EQ(stream.Push("\xC0"), "\xC0");
  EXPECT_EQ(stream.Push("\xE4x"), "\xE4x");
  EXPECT_EQ(stream.Push("x\x80\x80\x80\x80"), "x\x80\x80\x80\x80");
}

TEST(Utf8Stream, LosesNothingWhereverItIsCut) {
  const std::string text = "a\u00E9\u4E2D\U0001F600\xFF\xE4z\xF0\x9F";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Utf8Stream stream;
    std::string out = stream.Push(text.substr(0, cut));
    out += stream.Push(text.substr(cut));
    EXPECT_EQ(out + stream.Flush(), text);
  }
}

}  // namespace
}  // namespace llmrun
