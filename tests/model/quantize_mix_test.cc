// Which type each tensor gets: names, rules of mixtures, what stays, and what does not fit.
#include "model/quantize_mix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "loader/gguf/gguf_writer.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

struct MixModel {
  uint32_t n_layers = 8;
  uint32_t heads = 8;
  uint32_t kv_heads = 8;
  uint32_t experts = 0;
  uint64_t columns = 256;
  bool tied = false;
  DType type = DType::kF16;
};

TensorIndex MixIndex(const MixModel& model) {
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  writer.AddUint32("llama.block_count", model.n_layers);
  writer.AddUint32("llama.attention.head_count", model.heads);
  writer.AddUint32("llama.attention.head_count_kv", model.kv_heads);
  if (model.experts > 0) writer.AddUint32("llama.expert_count", model.experts);
  const auto add = [&](const std::string& name, uint64_t rows) {
    std::vector<uint64_t> dims = {model.columns};
    if (rows > 0) dims.push_back(rows);
    EXPECT_TRUE(writer.AddTensor(name, rows > 0 ? model.type : DType::kF32, dims));
  };
  add("token_embd.weight", 32);
  for (uint32_t i = 0; i < model.n_layers; ++i) {
    const std::string layer = fmt::format("blk.{}.", i);
    add(layer + "attn_norm.weight", 0);
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_down", "ffn_up"}) {
      add(layer + name + ".weight", 4);
    }
    if (model.experts > 0) add(layer + "ffn_gate_inp.weight", model.experts);
  }
  if (!model.tied) add("output.weight", 32);
  std::vector<std::byte> bytes = writer.Header();
  bytes.resize(bytes.size() + writer.DataBytes());
  std::vector<GgufFile> files;
  files.push_back(ParseBytes(bytes).value());
  return TensorIndex::Build(std::move(files)).value();
}

using Types = std::map<std::string, std::string>;

Types TypesOf(const MixModel& model, QuantizeOptions options, const char* target) {
  const TensorIndex index = MixIndex(model);
  options.target = ParseQuantizeTarget(target).value();
  const auto plan = PlanQuantize(index, options);
  EXPECT_TRUE(plan) << plan.error().OneLine();
  Types types;
  for (size_t i = 0; plan && i < plan->size(); ++i) {
    types[index.tensors()[i].name] = NameOf((*plan)[i].type);
  }
  return types;
}

std::string OfLayers(const Types& types, const std::string& name) {
  std::string all;
  for (int i = 0; types.contains(fmt::format("blk.{}.{}.weight", i, name)); ++i) {
    all += (i > 0 ? " " : "") + types.at(fmt::format("blk.{}.{}.weight", i, name));
  }
  return all;
}

TEST(QuantizeMix, NamesAreThoseOfTheField) {
  EXPECT_EQ(ParseQuantizeTarget("q4_k_m").value().file_type, 15U);
  EXPECT_EQ(ParseQuantizeTarget("Q4_K").value().name, "Q4_K_M");
  EXPECT_EQ(ParseQuantizeTarget("17").value().name, "Q5_K_M");
  EXPECT_EQ(ParseQuantizeTarget("7").value().name, "Q8_0");
  const auto unknown = ParseQuantizeTarget("Q9");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kUsage);
  EXPECT_THAT(unknown.error().message, testing::HasSubstr("Q4_K_M"));
}

TEST(QuantizeMix, MoreBitsWhereErrorsAreFelt) {
  const Types types = TypesOf({}, {}, "Q4_K_M");
  EXPECT_EQ(OfLayers(types, "attn_v"), "Q6_K Q4_K Q4_K Q6_K Q4_K Q4_K Q6_K Q6_K");
  EXPECT_EQ(OfLayers(types, "ffn_down"), OfLayers(types, "attn_v"));
  EXPECT_EQ(OfLayers(types, "attn_q"), "Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K");
  EXPECT_EQ(OfLayers(types, "attn_norm"), "F32 F32 F32 F32 F32 F32 F32 F32");
  EXPECT_EQ(types.at("output.weight"), "Q6_K");
  EXPECT_EQ(types.at("token_embd.weight"), "Q4_K");
  EXPECT_EQ(TypesOf({.tied = true}, {}, "Q4_K_M").at("token_embd.weight"), "Q6_K");
  const Types q3 = TypesOf({}, {}, "Q3_K_M");
  EXPECT_EQ(OfLayers(q3, "attn_v"), "Q5_K Q5_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K");
  EXPECT_EQ(OfLayers(q3, "attn_output"), "Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K");
}

TEST(QuantizeMix, SharedValuesAndImportanceCount) {
  EXPECT_EQ(OfLayers(TypesOf({.n_layers = 1}, {}, "Q2_K"), "attn_v"), "Q3_K");
  EXPECT_EQ(OfLayers(TypesOf({.n_layers = 1, .kv_heads = 2}, {}, "Q2_K"), "attn_v"), "Q4_K");
  EXPECT_EQ(OfLayers(TypesOf({.n_layers = 9}, {}, "IQ4_XS"), "ffn_down").substr(0, 12),
            "Q5_K IQ4_XS ");
  EXPECT_EQ(OfLayers(TypesOf({}, {.has_importance = true}, "Q4_0"), "ffn_down").substr(0, 10),
            "Q4_1 Q4_0 ");
  EXPECT_EQ(OfLayers(TypesOf({}, {}, "Q4_0"), "ffn_down").substr(0, 10), "Q4_0 Q4_0 ");
}

TEST(QuantizeMix, WhatAllTokensShareIsKeptBesideEightExperts) {
  const Types types = TypesOf({.n_layers = 2, .experts = 8}, {}, "Q4_K_M");
  EXPECT_EQ(OfLayers(types, "attn_k"), "Q8_0 Q8_0");
  EXPECT_EQ(OfLayers(types, "attn_output"), "Q5_K Q5_K");
  EXPECT_EQ(OfLayers(types, "ffn_gate_inp"), "F16 F16");
}

TEST(QuantizeMix, OptionsDecide) {
  const Types pure = TypesOf({}, {.pure = true}, "Q4_K_M");
  EXPECT_EQ(OfLayers(pure, "attn_v"), "Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K Q4_K");
  EXPECT_EQ(pure.at("output.weight"), "Q4_K");
  EXPECT_EQ(TypesOf({}, {.leave_output = true}, "Q4_K_M").at("output.weight"), "F16");
  const Types given =
      TypesOf({}, {.output_type = DType::kQ5_0, .embedding_type = DType::kQ8_0}, "Q4_K_M");
  EXPECT_EQ(given.at("output.weight"), "Q5_0");
  EXPECT_EQ(given.at("token_embd.weight"), "Q8_0");
}

TEST(QuantizeMix, ShorterBlocksWhereColumnsDoNotFit) {
  const Types types = TypesOf({.n_layers = 1, .columns = 96}, {.pure = true}, "Q4_K_M");
  EXPECT_EQ(OfLayers(types, "attn_q"), "Q5_0");
  EXPECT_EQ(OfLayers(TypesOf({.n_layers = 1, .columns = 40}, {}, "Q6_K"), "attn_q"), "F16");
  const TensorIndex index = MixIndex({.n_layers = 1, .columns = 96});
  const auto plan =
      PlanQuantize(index, {.target = ParseQuantizeTarget("Q2_K").value(), .pure = true});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->front().fallback,
            "wanted token_embd.weight as Q2_K, got IQ4_NL: 96 columns are not a multiple of 256; "
            "fix: none is needed");
}

TEST(QuantizeMix, WhatIsQuantizedStaysUnlessAllowed) {
  const TensorIndex index = MixIndex({.type = DType::kQ8_0});
  QuantizeOptions options = {.target = ParseQuantizeTarget("Q4_0").value()};
  const auto refused = PlanQuantize(index, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
  EXPECT_THAT(refused.error().fix, testing::HasSubstr("--allow-requantize"));
  options.allow_requantize = true;
  EXPECT_TRUE(PlanQuantize(index, options));
}

}  // namespace
}  // namespace llmrun
