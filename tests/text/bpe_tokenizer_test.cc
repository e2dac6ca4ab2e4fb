#include "text/bpe_tokenizer.h"

#include <thread>

#include "tests/text/vocabularies.h"

namespace llmrun {
namespace {

// "Ġ" is how the byte map writes a space. Ids: 256 he, 257 ll, 258 hell, 259 hello, 260 Ġh, 261 lo,
// 262 aa, 263 aaaa.
TokenizerSpec HelloSpec(std::string pre = "gpt-2") {
  return BytePairSpec({"h e", "l l", "he ll", "hell o", "\u0120 h", "l o", "a a", "aa aa"},
                      std::move(pre));
}

TEST(BpeTokenizer, JoinsTheEarliestMergeFirst) {
  const auto tokenizer = MakeTokenizer(HelloSpec());
  EXPECT_EQ(tokenizer->Encode("hello", {}), Ids{259});
  EXPECT_EQ(tokenizer->Encode("hell", {}), Ids{258});
  EXPECT_EQ(tokenizer->Encode("helo", {}), (Ids{256, 261}));
  EXPECT_EQ(tokenizer->Encode("lllo", {}), (Ids{257, 261}));
  EXPECT_EQ(tokenizer->Encode("aaa", {}), (Ids{262, 'a'}));
  EXPECT_EQ(tokenizer->Encode("aaaaaaa", {}), (Ids{263, 262, 'a'}));
  // "h e" comes before "Ġ h": the space stays alone.
  EXPECT_EQ(tokenizer->Encode("x hello", {}), (Ids{'x', ' ', 259}));
  EXPECT_EQ(tokenizer->Encode("x hi", {}), (Ids{'x', 260, 'i'}));
  EXPECT_EQ(tokenizer->Encode("", {}), Ids{});
}

TEST(BpeTokenizer, DoesNotJoinAcrossWords) {
  const auto tokenizer = MakeTokenizer(HelloSpec());
  EXPECT_EQ(tokenizer->Encode("he'll o", {}), (Ids{256, '\'', 257, ' ', 'o'}));
}

TEST(BpeTokenizer, AnyBytesComeBack) {
  const auto tokenizer = MakeTokenizer(HelloSpec());
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 151 + i / 7);
  const Ids ids = tokenizer->Encode(text, {});
  EXPECT_EQ(tokenizer->Decode(ids), text);
  EXPECT_EQ(tokenizer->Encode("\xFF\xC3", {}), (Ids{0xFF, 0xC3}));
  EXPECT_EQ(tokenizer->Encode(std::string(2, '\0'), {}), (Ids{0, 0}));
}

TEST(BpeTokenizer, BytesWithoutATokenBecomeUnknownOrNothing) {
  TokenizerSpec spec;
  spec.model = "gpt2";
  spec.pre = "gpt-2";
  AddToken(&spec, "a");
  AddToken(&spec, "<unk>", TokenType::kUnknown);
  EXPECT_EQ(MakeTokenizer(spec)->Encode("aba", {}), (Ids{0, 0}));
  spec.unk = 1;
  EXPECT_EQ(MakeTokenizer(spec)->Encode("aba", {}), (Ids{0, 1, 0}));
}

TEST(BpeTokenizer, WholeWordsIgnoreTheMergesWhereTheRuleSaysSo) {
  for (const char* pre : {"llama-bpe", "gpt-2"}) {
    TokenizerSpec spec = HelloSpec(pre);
    const TokenId word = AddToken(&spec, "world");  // no merge leads to it
    const TokenId control = AddToken(&spec, "stop", TokenType::kControl);
    const auto tokenizer = MakeTokenizer(spec);
    const Ids letters = {'w', 'o', 'r', 'l', 'd'};
    EXPECT_EQ(tokenizer->Encode("world", {}), pre[0] == 'l' ? Ids{word} : letters);
    EXPECT_EQ(tokenizer->Encode("stop", {}), (Ids{'s', 't', 'o', 'p'}));
    EXPECT_EQ(tokenizer->Encode("stop", {.parse_special = true}), Ids{control});
  }
}

TEST(BpeTokenizer, MergesNeverMakeAControlToken) {
  TokenizerSpec spec = HelloSpec();
  spec.types[259] = TokenType::kControl;  // hello
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Encode("hello", {}), (Ids{258, 'o'}));
  EXPECT_EQ(tokenizer->Encode("hello", {.parse_special = true}), Ids{259});
}

TEST(BpeTokenizer, AddsBosWhereTheFileOrTheRuleSaysSo) {
  const auto begins_with_bos = [](TokenizerSpec spec) {
    spec.bos = 255;
    return MakeTokenizer(spec)->Encode("x", {.add_special = true}).front() == 255;
  };
  EXPECT_FALSE(begins_with_bos(HelloSpec("gpt-2")));
  EXPECT_TRUE(begins_with_bos(HelloSpec("llama-bpe")));
  TokenizerSpec spec = HelloSpec("gpt-2");
  spec.add_bos = true;
  EXPECT_TRUE(begins_with_bos(spec));
  // The rule's wish is no demand.
  EXPECT_EQ(MakeTokenizer(HelloSpec("llama-bpe"))->Encode("x", {.add_special = true}), Ids{'x'});
}

TEST(BpeTokenizer, DecodesThroughTheByteMap) {
  TokenizerSpec spec = HelloSpec();
  const TokenId odd = AddToken(&spec, "\u4E2D\u0120\xFF");  // not of the map: as it is
  const TokenId tag = AddToken(&spec, "\u0120tag", TokenType::kUserDefined);
  const TokenId end = AddToken(&spec, "<end>", TokenType::kControl);
  const auto tokenizer = MakeTokenizer(spec);
  EXPECT_EQ(tokenizer->Decode(260), " h");
  EXPECT_EQ(tokenizer->Decode(odd), "\u4E2D \xFF");
  EXPECT_EQ(tokenizer->Decode(tag), "\u0120tag");
  EXPECT_EQ(tokenizer->Decode(Ids{259, end, 'x'}), "hellox");
  EXPECT_EQ(tokenizer->Decode(Ids{259, end, 'x'}, true), "hello<end>x");
}

// Sizes at which a quadratic step or a recursion would show: std::regex dies at 26,000 letters.
TEST(BpeTokenizer, LongRunsNeedNoStackAndLittleTime) {
  const auto tokenizer = MakeTokenizer(HelloSpec());
  EXPECT_EQ(tokenizer->Encode(std::string(43'000, 'A'), {}), Ids(43'000, 'A'));
  constexpr uint32_t kPieces = 1 << 18;
  EXPECT_EQ(tokenizer->Encode(std::string(4 * kPieces, 'a'), {}), Ids(kPieces, 263));
  constexpr uint32_t kLines = 1'000'000;
  EXPECT_EQ(tokenizer->Encode(std::string(kLines, '\n'), {}), Ids(kLines, '\n'));
}

TEST(BpeTokenizer, ThreadsMayShareOne) {
  const auto tokenizer = MakeTokenizer(HelloSpec("llama-bpe"));
  std::string text;
  for (int i = 0; i < 200; ++i) text += "hello he'll 1234 \u4E2D\xFF\n";
  const Ids expected = tokenizer->Encode(text, {});
  std::vector<Ids> found(4);
  std::vector<std::thread> threads;
  for (Ids& ids : found) threads.emplace_back([&] { ids = tokenizer->Encode(text, {}); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& ids : found) EXPECT_EQ(ids, expected);
}

TEST(BpeTokenizer, RefusesBadMerges) {
  for (const char* merge : {"", "ab", "a ", " ", "a  b", "a b c"}) {
    TokenizerSpec spec = HelloSpec();
    spec.merges.emplace_back(merge);
    EXPECT_EQ(CreateError(spec, "merge 8"), ErrorCode::kBadData) << merge;
  }
  TokenizerSpec spec = HelloSpec();
  spec.merges.emplace_back("x y");
  EXPECT_EQ(CreateError(spec, "merge 8 needs 'xy', which is no token"), ErrorCode::kBadData);
  spec.merges.back() = "nope y";
  EXPECT_EQ(CreateError(spec, "merge 8 needs 'nope'"), ErrorCode::kBadData);
}

TEST(BpeTokenizer, RefusesUnknownPreTokenizers) {
  const TokenizerSpec spec = HelloSpec("gpt-99");
  EXPECT_EQ(CreateError(spec, "unknown pre-tokenizer 'gpt-99' (known: gpt-2, "),
            ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace llmrun
