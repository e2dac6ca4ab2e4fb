// What is read of deepseek2: latents, experts, routers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/model/config_header.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

ConfigHeader Deepseek() {
  ConfigHeader header = HeaderOf("deepseek2");
  header.SetUint("deepseek2.attention.head_count_kv", 4);
  header.SetUint("deepseek2.attention.key_length", 48);
  header.SetUint("deepseek2.attention.value_length", 32);
  header.SetUint("deepseek2.attention.kv_lora_rank", 40);
  header.SetUint("deepseek2.rope.dimension_count", 16);
  header.SetExperts(8, 3);
  return header;
}

TEST(DeepseekConfig, ReadsLatentsAndFillsInWhatIsNotSaid) {
  const Result<ModelConfig> config = Deepseek().Read();
  ASSERT_TRUE(config) << config.error().OneLine();
  EXPECT_EQ(config->head_dim, 48);
  EXPECT_EQ(config->value_dim, 32);
  EXPECT_EQ(config->n_rot, 16);
  EXPECT_EQ(config->rot_begin(), 32);
  EXPECT_EQ(config->latent_rows(), 64);
  EXPECT_EQ(config->latent.kv_rank, 40);
  EXPECT_EQ(config->latent.q_rank, 0);
  EXPECT_EQ(config->attention_dim(), 128);
  EXPECT_NEAR(config->attention_scale, 1 / std::sqrt(48.0), 1e-15);
  EXPECT_EQ(config->d_ff, 128);
  EXPECT_EQ(config->d_ff_expert, 128);
  EXPECT_EQ(config->d_ff_shared, 0);
  EXPECT_TRUE(config->HasExperts(0));
  EXPECT_FALSE(config->router.sigmoid);
  EXPECT_FALSE(config->router.renormalizes);
  EXPECT_EQ(config->router.scale, 1);
  EXPECT_EQ(config->router.n_groups, 1);
}

TEST(DeepseekConfig, ReadsWhatIsSaid) {
  ConfigHeader header = Deepseek();
  header.SetUint("deepseek2.attention.q_lora_rank", 24);
  header.SetUint("deepseek2.leading_dense_block_count", 1);
  header.SetUint("deepseek2.expert_feed_forward_length", 96);
  header.SetUint("deepseek2.expert_shared_count", 2);
  header.SetUint("deepseek2.expert_gating_func", 2);
  header.Set("deepseek2.expert_weights_norm", MetaType::kBool, true);
  header.SetFloat("deepseek2.expert_weights_scale", 2.5F);
  header.SetUint("deepseek2.expert_group_count", 4);
  header.SetUint("deepseek2.expert_group_used_count", 2);
  const Result<ModelConfig> config = header.Read();
  ASSERT_TRUE(config) << config.error().OneLine();
  EXPECT_EQ(config->latent.q_rank, 24);
  EXPECT_EQ(config->d_ff, 128);
  EXPECT_EQ(config->d_ff_expert, 96);
  EXPECT_EQ(config->d_ff_shared, 192);
  EXPECT_FALSE(config->HasExperts(0));
  EXPECT_TRUE(config->HasExperts(1));
  EXPECT_TRUE(config->router.sigmoid);
  EXPECT_TRUE(config->router.renormalizes);
  EXPECT_EQ(config->router.scale, 2.5);
  EXPECT_EQ(config->router.n_groups, 4);
  EXPECT_EQ(config->router.n_groups_used, 2);
}

ConfigHeader CachedLatents() {
  ConfigHeader header = Deepseek();
  header.SetUint("deepseek2.attention.head_count_kv", 1);
  header.SetUint("deepseek2.attention.key_length", 40 + 16);
  header.SetUint("deepseek2.attention.value_length", 40);
  header.SetUint("deepseek2.attention.key_length_mla", 48);
  header.SetUint("deepseek2.attention.value_length_mla", 32);
  return header;
}

TEST(DeepseekConfig, ReadsLatentsThatAreCached) {
  const Result<ModelConfig> config = CachedLatents().Read();
  ASSERT_TRUE(config) << config.error().OneLine();
  EXPECT_TRUE(config->latent.cached);
  EXPECT_EQ(config->n_kv_heads, 1);
  EXPECT_EQ(config->head_dim, 56);
  EXPECT_EQ(config->value_dim, 40);
  EXPECT_EQ(config->rot_begin(), 40);
  EXPECT_EQ(config->made_q_dim(), 4 * 48);
  EXPECT_EQ(config->q_dim(), 4 * 56);
  EXPECT_EQ(config->output_dim(), 4 * 32);
  EXPECT_NEAR(config->attention_scale, 1 / std::sqrt(48.0), 1e-15);
  const auto refusal = [](const char* key, uint32_t value) {
    ConfigHeader header = CachedLatents();
    header.SetUint(std::string("deepseek2.") + key, value);
    const Result<ModelConfig> read = header.Read();
    return read ? "accepted" : read.error().OneLine();
  };
  EXPECT_THAT(refusal("attention.head_count_kv", 4), HasSubstr("expected one head"));
  EXPECT_THAT(refusal("attention.value_length", 32), HasSubstr("values of 40"));
  EXPECT_THAT(refusal("attention.key_length", 40), HasSubstr("keys of kv_lora_rank 40"));
  EXPECT_THAT(refusal("attention.key_length_mla", 16), HasSubstr("less than 16 more"));
  EXPECT_THAT(refusal("rope.dimension_count", 14), HasSubstr("= 16, found 14"));
}

TEST(DeepseekConfig, YarnScalesScoresInsteadOfWhatIsRotated) {
  ConfigHeader header = Deepseek();
  header.SetYarn(8);
  header.SetFloat("deepseek2.rope.scaling.yarn_log_multiplier", 0.5F);
  const ModelConfig config = header.Read().value();
  EXPECT_EQ(config.rope_magnitude, 1);
  const double magnitude = 1 + 0.5 * std::log(8.0);
  EXPECT_NEAR(config.attention_scale, magnitude * magnitude / std::sqrt(48.0), 1e-12);
  ConfigHeader llama;
  llama.SetYarn(8);
  llama.SetFloat("llama.rope.scaling.yarn_log_multiplier", 0.5F);
  EXPECT_THAT(
      llama.Read().error().OneLine(),
      HasSubstr("'llama.rope.scaling.yarn_log_multiplier': 0.5 is not supported for llama"));
}

TEST(DeepseekConfig, RefusesWhatDoesNotFit) {
  const auto refusal = [](const char* key, uint32_t value) {
    ConfigHeader header = Deepseek();
    header.SetUint(std::string("deepseek2.") + key, value);
    const Result<ModelConfig> config = header.Read();
    return config ? "accepted" : config.error().OneLine();
  };
  EXPECT_THAT(refusal("attention.head_count_kv", 2), HasSubstr("expected attention.head_count 4"));
  EXPECT_THAT(refusal("attention.kv_lora_rank", 0), HasSubstr("found 0"));
  EXPECT_THAT(refusal("rope.dimension_count", 50), HasSubstr("expected 1..48, found 50"));
  EXPECT_THAT(refusal("leading_dense_block_count", 3), HasSubstr("expected 0..2, found 3"));
  EXPECT_THAT(refusal("expert_gating_func", 3),
              HasSubstr("3 is not supported (1, softmax, and 2, sigmoid, are)"));
  EXPECT_THAT(refusal("expert_shared_count", 1U << 30), HasSubstr("expert_shared_count"));
  EXPECT_THAT(refusal("expert_group_count", 3), HasSubstr("expected a divisor of expert_count 8"));
  ConfigHeader groups = Deepseek();
  groups.SetUint("deepseek2.expert_group_count", 4);
  groups.SetUint("deepseek2.expert_group_used_count", 1);
  EXPECT_THAT(groups.Read().error().OneLine(),
              HasSubstr("1 groups have 2 experts, but expert_used_count is 3"));
  for (const char* key : {"attention.kv_lora_rank", "attention.key_length",
                          "attention.value_length", "rope.dimension_count"}) {
    ConfigHeader header = Deepseek();
    header.Remove(std::string("deepseek2.") + key);
    EXPECT_THAT(header.Read().error().OneLine(), HasSubstr("missing")) << key;
  }
}

}  // namespace
}  // namespace llmrun
