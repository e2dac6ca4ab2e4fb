#include "model/tokenizer_spec.h"

#include <gtest/gtest.h>

namespace llmrun {
namespace {

void Set(Metadata* metadata, std::string name, MetaType type, MetaScalar value) {
  ASSERT_TRUE(metadata->Add({"tokenizer.ggml." + std::move(name), type, std::move(value)}));
}

template <typename T>
void SetArray(Metadata* metadata, std::string name, MetaType type, std::vector<T> elements) {
  Set(metadata, std::move(name), MetaType::kArray, MetaArray{type, std::move(elements)});
}

Metadata Minimal() {
  Metadata metadata;
  Set(&metadata, "model", MetaType::kString, std::string("gpt2"));
  SetArray<std::string>(&metadata, "tokens", MetaType::kString, {"a", "b", "ab"});
  return metadata;
}

void ExpectBad(const Metadata& metadata, std::string_view message) {
  const auto spec = TokenizerSpecFromMetadata(metadata);
  ASSERT_FALSE(spec.has_value()) << message;
  EXPECT_EQ(spec.error().code, ErrorCode::kBadData);
  EXPECT_NE(spec.error().message.find(message), std::string::npos) << spec.error().message;
}

TEST(TokenizerSpec, TakesEveryKey) {
  Metadata metadata = Minimal();
  Set(&metadata, "pre", MetaType::kString, std::string("qwen2"));
  SetArray<float>(&metadata, "scores", MetaType::kFloat32, {0, -1, 0.5F});
  SetArray<int32_t>(&metadata, "token_type", MetaType::kInt32, {1, 3, 77});
  SetArray<std::string>(&metadata, "merges", MetaType::kString, {"a b"});
  Set(&metadata, "bos_token_id", MetaType::kUint32, uint32_t{1});
  Set(&metadata, "eos_token_id", MetaType::kInt32, int32_t{2});
  Set(&metadata, "unknown_token_id", MetaType::kUint64, uint64_t{0});
  Set(&metadata, "eot_token_id", MetaType::kUint8, uint8_t{1});
  Set(&metadata, "seperator_token_id", MetaType::kUint32, uint32_t{2});
  Set(&metadata, "padding_token_id", MetaType::kUint32, uint32_t{0});
  Set(&metadata, "add_bos_token", MetaType::kBool, true);
  Set(&metadata, "add_eos_token", MetaType::kBool, false);
  Set(&metadata, "add_space_prefix", MetaType::kBool, true);
  Set(&metadata, "remove_extra_whitespaces", MetaType::kBool, false);
  Set(&metadata, "add_sep_token", MetaType::kBool, true);
  Set(&metadata, "normalizer.lowercase", MetaType::kBool, false);
  Set(&metadata, "normalizer.strip_accents", MetaType::kBool, true);
  SetArray<uint8_t>(&metadata, "precompiled_charsmap", MetaType::kUint8, {0, 255});
  const TokenizerSpec spec = TokenizerSpecFromMetadata(metadata).value();
  EXPECT_EQ(spec.model, "gpt2");
  EXPECT_EQ(spec.pre, "qwen2");
  EXPECT_EQ(spec.tokens, (std::vector<std::string>{"a", "b", "ab"}));
  EXPECT_EQ(spec.scores, (std::vector<float>{0, -1, 0.5F}));
  EXPECT_EQ(spec.types, (std::vector<TokenType>{TokenType::kNormal, TokenType::kControl,
                                                TokenType::kUndefined}));
  EXPECT_EQ(spec.merges, std::vector<std::string>{"a b"});
  EXPECT_EQ(spec.bos, 1);
  EXPECT_EQ(spec.eos, 2);
  EXPECT_EQ(spec.unk, 0);
  EXPECT_EQ(spec.eot, 1);
  EXPECT_EQ(spec.sep, 2);
  EXPECT_EQ(spec.pad, 0);
  EXPECT_EQ(spec.add_bos, true);
  EXPECT_EQ(spec.add_eos, false);
  EXPECT_EQ(spec.add_space_prefix, true);
  EXPECT_EQ(spec.remove_extra_whitespaces, false);
  EXPECT_EQ(spec.add_sep, true);
  EXPECT_EQ(spec.lowercase, false);
  EXPECT_EQ(spec.strip_accents, true);
  EXPECT_EQ(spec.precompiled_charsmap, std::string("\0\xFF", 2));
}

TEST(TokenizerSpec, CharsmapsOfSignedBytesAndTheOldNameOfBos) {
  Metadata metadata;
  Set(&metadata, "model", MetaType::kString, std::string("bert"));
  SetArray<std::string>(&metadata, "tokens", MetaType::kString, {"a", "b", "ab"});
  SetArray<int8_t>(&metadata, "precompiled_charsmap", MetaType::kInt8, {-1, 1});
  Set(&metadata, "cls_token_id", MetaType::kUint32, uint32_t{2});
  const TokenizerSpec spec = TokenizerSpecFromMetadata(metadata).value();
  EXPECT_EQ(spec.precompiled_charsmap, "\xFF\x01");
  EXPECT_EQ(spec.bos, 2);
}

TEST(TokenizerSpec, MostKeysMayBeAbsent) {
  const TokenizerSpec spec = TokenizerSpecFromMetadata(Minimal()).value();
  EXPECT_TRUE(spec.pre.empty() && spec.scores.empty() && spec.types.empty());
  EXPECT_FALSE(spec.bos || spec.eos || spec.unk || spec.eot || spec.sep || spec.pad);
  EXPECT_FALSE(spec.add_bos || spec.add_eos || spec.add_space_prefix);
}

TEST(TokenizerSpec, ModelAndTokensMayNot) {
  ExpectBad(Metadata(), "tokenizer.ggml.model");
  Metadata metadata;
  Set(&metadata, "model", MetaType::kString, std::string("llama"));
  ExpectBad(metadata, "tokenizer.ggml.tokens");
}

TEST(TokenizerSpec, RefusesOtherTypes) {
  Metadata metadata = Minimal();
  SetArray<double>(&metadata, "scores", MetaType::kFloat64, {0, 0, 0});
  ExpectBad(metadata, "tokenizer.ggml.scores is an array of f64, expected f32");
  metadata = Minimal();
  Set(&metadata, "merges", MetaType::kUint32, uint32_t{3});
  ExpectBad(metadata, "tokenizer.ggml.merges");
  metadata = Minimal();
  Set(&metadata, "add_bos_token", MetaType::kString, std::string("yes"));
  ExpectBad(metadata, "tokenizer.ggml.add_bos_token");
  metadata = Minimal();
  Set(&metadata, "eos_token_id", MetaType::kInt32, int32_t{-1});
  ExpectBad(metadata, "tokenizer.ggml.eos_token_id");
  metadata = Minimal();
  Set(&metadata, "eos_token_id", MetaType::kUint64, uint64_t{1} << 32);
  ExpectBad(metadata, "tokenizer.ggml.eos_token_id is 4294967296");
}

TEST(TokenizerSpec, ForgivesAnUnusablePad) {
  Metadata metadata = Minimal();
  Set(&metadata, "padding_token_id", MetaType::kInt32, int32_t{-1});
  Set(&metadata, "seperator_token_id", MetaType::kUint32, uint32_t{0xFFFFFFFF});
  const TokenizerSpec spec = TokenizerSpecFromMetadata(metadata).value();
  EXPECT_FALSE(spec.pad || spec.sep);
}

}  // namespace
}  // namespace llmrun
