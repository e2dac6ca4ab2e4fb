// Tokenizers of Hugging Face checkpoints: byte-level BPE by its pre-tokenizer, added tokens,
// special ones, and what is refused.
#include "model/hf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/tokenizer_spec.h"

namespace llmrun {
namespace {

using HfJsonText = nlohmann::json;

constexpr char kLlama3Regex[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

HfJsonText SplitBy(const std::string& regex) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", regex}}}},
            {{"type", "ByteLevel"}, {"use_regex", false}}}}};
}

HfJsonText SmallTokenizer() {
  return {{"model",
           {{"type", "BPE"},
            {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
            {"merges", HfJsonText::array({"a b"})}}},
          {"pre_tokenizer", SplitBy(kLlama3Regex)},
          {"added_tokens",
           {{{"id", 3}, {"content", "<|begin|>"}, {"special", true}},
            {{"id", 4}, {"content", "<tool>"}, {"special", false}}}}};
}

Result<TokenizerSpec> Converted(const HfJsonText& tokenizer, const HfJsonText& config) {
  HfTokenizerFiles files{.folder = "model"};
  files.tokenizer = tokenizer.dump();
  files.config = config.dump();
  ASSIGN_OR_RETURN(const std::vector<MetaEntry> entries, ConvertHfTokenizer(files, {6, {}, 4}));
  Metadata metadata;
  for (const MetaEntry& entry : entries) EXPECT_TRUE(metadata.Add(entry)) << entry.key;
  const auto chat = metadata.GetString("tokenizer.chat_template");
  if (config.contains("chat_template")) {
    EXPECT_EQ(chat.value(), "{{ messages }}");
  }
  return TokenizerSpecFromMetadata(metadata);
}

TEST(HfTokenizer, ByteLevelBpe) {
  HfJsonText tokenizer = SmallTokenizer();
  tokenizer["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", HfJsonText::array({{{"SpecialToken", {{"id", "<|begin|>"}}}}})}};
  const auto spec = Converted(
      tokenizer, {{"bos_token", {{"content", "<|begin|>"}}}, {"chat_template", "{{ messages }}"}});
  ASSERT_TRUE(spec) << spec.error().OneLine();
  EXPECT_EQ(spec->model, "gpt2");
  EXPECT_EQ(spec->pre, "llama-bpe");
  EXPECT_THAT(spec->tokens, testing::ElementsAre("a", "b", "ab", "<|begin|>", "<tool>", "[PAD5]"));
  EXPECT_THAT(spec->types, testing::ElementsAre(TokenType::kNormal, TokenType::kNormal,
                                                TokenType::kNormal, TokenType::kControl,
                                                TokenType::kUserDefined, TokenType::kUnused));
  EXPECT_THAT(spec->merges, testing::ElementsAre("a b"));
  EXPECT_EQ(spec->bos, 3);
  EXPECT_EQ(spec->eos, 4) << "of config.json";
  EXPECT_EQ(spec->add_bos, true);
}

TEST(HfTokenizer, MergesMayBePairs) {
  HfJsonText tokenizer = SmallTokenizer();
  tokenizer["model"]["merges"] = HfJsonText::array({HfJsonText::array({"a", "b"})});
  const auto spec = Converted(tokenizer, {{"add_bos_token", false}});
  ASSERT_TRUE(spec) << spec.error().OneLine();
  EXPECT_THAT(spec->merges, testing::ElementsAre("a b"));
  EXPECT_EQ(spec->add_bos, false);
}

TEST(HfTokenizer, PreTokenizersAreRecognizedOrRefused) {
  HfJsonText tokenizer = SmallTokenizer();
  std::string regex = kLlama3Regex;
  regex.replace(regex.find("{1,3}"), 5, "");
  tokenizer["pre_tokenizer"] = SplitBy(regex);
  EXPECT_EQ(Converted(tokenizer, {{"x", 1}})->pre, "qwen2");
  tokenizer["pre_tokenizer"] = {{"type", "ByteLevel"}, {"use_regex", true}};
  EXPECT_EQ(Converted(tokenizer, {{"x", 1}})->pre, "gpt-2");
  tokenizer["pre_tokenizer"] = {{"type", "Sequence"},
                                {"pretokenizers",
                                 {{{"type", "Digits"}, {"individual_digits", true}},
                                  {{"type", "ByteLevel"}, {"use_regex", true}}}}};
  EXPECT_EQ(Converted(tokenizer, {{"x", 1}})->pre, "smollm");
  tokenizer["pre_tokenizer"] = SplitBy("[a-z]+");
  const auto unknown = Converted(tokenizer, {{"x", 1}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(unknown.error().message, testing::HasSubstr("'[a-z]+'"));
}

TEST(HfTokenizer, MergesMayBeIgnored) {
  HfJsonText tokenizer = SmallTokenizer();
  tokenizer["model"]["ignore_merges"] = true;
  EXPECT_EQ(Converted(tokenizer, {{"x", 1}})->pre, "llama-bpe");
  tokenizer["model"]["ignore_merges"] = false;
  EXPECT_EQ(Converted(tokenizer, {{"x", 1}})->pre, "dbrx");
  tokenizer["normalizer"] = {{"type", "NFC"}};
  EXPECT_TRUE(Converted(tokenizer, {{"x", 1}}));
  tokenizer["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_THAT(Converted(tokenizer, {{"x", 1}}).error().message, testing::HasSubstr("Lowercase"));
}

HfJsonText SmallSentencePiece() {
  const char* mark = "\xe2\x96\x81";
  return {
      {"model",
       {{"type", "BPE"},
        {"byte_fallback", true},
        {"unk_token", "<unk>"},
        {"vocab", {{"<unk>", 0}, {"<0x0A>", 1}, {"a", 2}, {"b", 3}, {"ab", 4}, {"aab", 5}}},
        {"merges", HfJsonText::array({"a b", "a ab"})}}},
      {"normalizer", {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}}},
      {"added_tokens", HfJsonText::array({{{"id", 0}, {"content", "<unk>"}, {"special", true}}})}};
}

TEST(HfTokenizer, SentencePieceAsJson) {
  const auto spec = Converted(SmallSentencePiece(), {{"unk_token", "<unk>"}});
  ASSERT_TRUE(spec) << spec.error().OneLine();
  EXPECT_EQ(spec->model, "llama");
  EXPECT_EQ(spec->pre, "");
  EXPECT_EQ(spec->add_space_prefix, false);
  EXPECT_EQ(spec->unk, 0);
  EXPECT_THAT(spec->types,
              testing::ElementsAre(TokenType::kUnknown, TokenType::kByte, TokenType::kNormal,
                                   TokenType::kNormal, TokenType::kNormal, TokenType::kNormal));
  EXPECT_THAT(spec->scores, testing::ElementsAre(-2, -2, -2, -2, 0, -1));
  EXPECT_THAT(spec->merges, testing::IsEmpty());
}

// As runs of spaces have.
TEST(HfTokenizer, PiecesWhoseMergesStandAmongEachOtherHaveOneScore) {
  HfJsonText tokenizer = SmallSentencePiece();
  tokenizer["model"]["vocab"] = {{"a", 0}, {"aa", 1}, {"aaa", 2}, {"aaaa", 3}, {"b", 4}, {"ab", 5}};
  tokenizer["model"]["merges"] =
      HfJsonText::array({"a b", "aaa a", "aa aa", "aa a", "a aaa", "a aa", "a a"});
  tokenizer.erase("added_tokens");
  const auto spec = Converted(tokenizer, {{"x", 1}});
  ASSERT_TRUE(spec) << spec.error().OneLine();
  EXPECT_THAT(spec->scores, testing::ElementsAre(-7, -6, -1, -1, -7, 0));
}

TEST(HfTokenizer, RefusesSentencePieceThatItWouldCutInOtherPlaces) {
  const auto refusal = [](const HfJsonText& tokenizer) {
    const auto spec = Converted(tokenizer, {{"x", 1}});
    return spec ? std::string() : spec.error().message;
  };
  using testing::HasSubstr;
  HfJsonText tokenizer = SmallSentencePiece();
  tokenizer["normalizer"] = nullptr;
  EXPECT_THAT(refusal(tokenizer), HasSubstr("nothing marks spaces"));
  tokenizer["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "\xe2\x96\x81"}};
  EXPECT_THAT(refusal(tokenizer), HasSubstr("Metaspace")) << "which cuts at spaces";
  tokenizer["normalizer"] = {{"type", "NFKC"}};
  EXPECT_THAT(refusal(tokenizer), HasSubstr("NFKC"));
  tokenizer = SmallSentencePiece();
  tokenizer["model"]["merges"] = HfJsonText::array({"a b"});
  EXPECT_THAT(refusal(tokenizer), HasSubstr("'a ab' is no merge"));
  tokenizer["model"]["merges"] = HfJsonText::array({"b b"});
  EXPECT_THAT(refusal(tokenizer), HasSubstr("'bb' is no token"));
}

TEST(HfTokenizer, RefusesWhatIsDamaged) {
  const auto code = [](const HfJsonText& tokenizer) {
    const auto spec = Converted(tokenizer, {{"x", 1}});
    return spec ? ErrorCode::kInternal : spec.error().code;
  };
  HfJsonText tokenizer = SmallTokenizer();
  tokenizer["model"]["vocab"]["c"] = 6;
  EXPECT_EQ(code(tokenizer), ErrorCode::kBadData) << "beyond the embeddings";
  tokenizer = SmallTokenizer();
  tokenizer["model"]["vocab"]["c"] = "6";
  EXPECT_EQ(code(tokenizer), ErrorCode::kBadData);
  tokenizer = SmallTokenizer();
  tokenizer["model"]["merges"] = HfJsonText::array({"ab"});
  EXPECT_EQ(code(tokenizer), ErrorCode::kBadData);
  tokenizer["model"]["merges"] = HfJsonText::array({1});
  EXPECT_EQ(code(tokenizer), ErrorCode::kBadData);
  tokenizer = SmallTokenizer();
  tokenizer["model"]["type"] = "Unigram";
  EXPECT_EQ(code(tokenizer), ErrorCode::kUnavailable);
  tokenizer = SmallTokenizer();
  tokenizer["added_tokens"][0].erase("id");
  EXPECT_EQ(code(tokenizer), ErrorCode::kBadData);
  EXPECT_EQ(code(HfJsonText::array()), ErrorCode::kBadData);
}

}  // namespace
}  // namespace llmrun
