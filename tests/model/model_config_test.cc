#include "model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/model/config_header.h"

namespace llmrun {
namespace {

using Header = ConfigHeader;
using ::testing::HasSubstr;

TEST(ModelConfig, ReadsSizesAndFillsInWhatIsNotSaid) {
  const Result<ModelConfig> config = Header().Read();
  ASSERT_TRUE(config) << config.error().OneLine();
  EXPECT_EQ(config->architecture, "llama");
  EXPECT_EQ(config->name, "");
  EXPECT_EQ(config->n_layers, 2);
  EXPECT_EQ(config->d_model, 64);
  EXPECT_EQ(config->d_ff, 128);
  EXPECT_EQ(config->n_heads, 4);
  EXPECT_EQ(config->n_kv_heads, 2);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_EQ(config->n_rot, 16);
  EXPECT_EQ(config->n_vocab, 300);
  EXPECT_EQ(config->n_ctx_train, 2048);
  EXPECT_EQ(config->norm_eps, 1e-5F);
  EXPECT_EQ(config->rope_base, 10000);
  EXPECT_EQ(config->rope_scale, 1);
  EXPECT_TRUE(config->kind.rope_interleaved);
}

TEST(ModelConfig, ReadsWhatIsSaid) {
  Header header;
  header.SetString("general.name", "small");
  header.SetUint("llama.attention.key_length", 32);
  header.SetUint("llama.attention.value_length", 32);
  header.SetUint("llama.rope.dimension_count", 24);
  header.SetFloat("llama.rope.freq_base", 500000);
  header.SetString("llama.rope.scaling.type", "linear");
  header.SetFloat("llama.rope.scaling.factor", 4);
  header.Remove("llama.attention.head_count_kv");
  header.SetUint("llama.expert_count", 0);
  header.SetTokens(300);
  const Result<ModelConfig> config = header.Read();
  ASSERT_TRUE(config) << config.error().OneLine();
  EXPECT_EQ(config->name, "small");
  EXPECT_EQ(config->n_kv_heads, 4);
  EXPECT_EQ(config->head_dim, 32);
  EXPECT_EQ(config->q_dim(), 128);
  EXPECT_EQ(config->k_dim(), 128);
  EXPECT_EQ(config->n_rot, 24);
  EXPECT_EQ(config->rope_base, 500000);
  EXPECT_EQ(config->rope_scale, 0.25);
}

TEST(ModelConfig, KnowsHowArchitecturesDiffer) {
  const ModelConfig llama = Header().Read().value();
  EXPECT_FALSE(llama.kind.sub_norms);
  EXPECT_EQ(llama.kind.activation, Activation::kSilu);
  for (const char* name : {"bitnet", "bitnet-b1.58"}) {
    Header header;
    header.SetArchitecture(name);
    const Result<ModelConfig> config = header.Read();
    ASSERT_TRUE(config) << config.error().OneLine();
    EXPECT_EQ(config->architecture, name);
    EXPECT_EQ(config->d_ff, 128);
    EXPECT_FALSE(config->kind.rope_interleaved);
    EXPECT_TRUE(config->kind.sub_norms);
    EXPECT_EQ(config->kind.activation == Activation::kSquaredRelu,
              config->architecture != "bitnet");
  }
}

TEST(ModelConfig, ReadsWindowsOfLayers) {
  const auto windows = [](const char* architecture) {
    Header header = HeaderOf(architecture);
    const std::string prefix = architecture;
    header.SetUint(prefix + ".attention.sliding_window", 99);
    header.SetFloat(prefix + ".attn_logit_softcapping", 50);
    header.SetFloat(prefix + ".final_logit_softcapping", 30);
    if (prefix != "gemma2") header.Remove(prefix + ".attn_logit_softcapping");
    if (prefix != "gemma2") header.Remove(prefix + ".final_logit_softcapping");
    if (prefix == "gpt-oss") header.SetExperts(4, 2);
    const ModelConfig config = header.Read().value();
    std::vector<int64_t> of_layers;
    for (int64_t i = 0; i < 12; ++i) of_layers.push_back(config.WindowOf(i));
    return of_layers;
  };
  EXPECT_THAT(windows("phi3"), ::testing::Each(99));
  EXPECT_THAT(windows("llama"), ::testing::Each(99));
  EXPECT_EQ(HeaderOf("llama").Read()->WindowOf(0), 0) << "not all have a window";
  EXPECT_THAT(windows("gemma2"), ::testing::ElementsAre(99, 0, 99, 0, 99, 0, 99, 0, 99, 0, 99, 0));
  EXPECT_THAT(windows("gpt-oss"), ::testing::ElementsAre(99, 0, 99, 0, 99, 0, 99, 0, 99, 0, 99, 0));
  EXPECT_THAT(windows("gemma3"),
              ::testing::ElementsAre(99, 99, 99, 99, 99, 0, 99, 99, 99, 99, 99, 0));
}

TEST(ModelConfig, ReadsWhatOnlySomeArchitecturesHave) {
  Header gemma2 = HeaderOf("gemma2");
  gemma2.SetUint("gemma2.attention.sliding_window", 4096);
  gemma2.SetFloat("gemma2.attn_logit_softcapping", 50);
  gemma2.SetFloat("gemma2.final_logit_softcapping", 30);
  EXPECT_EQ(gemma2.Read()->attention_cap, 50);
  EXPECT_EQ(gemma2.Read()->logit_cap, 30);
  EXPECT_EQ(gemma2.Read()->embedding_scale, 8);
  EXPECT_EQ(gemma2.Read()->attention_scale, 0.25);
  // Of the largest one the scale does not follow from the heads' length.
  gemma2.SetUint("gemma2.attention.key_length", 64);
  gemma2.SetUint("gemma2.block_count", 46);
  for (int i = 2; i < 46; ++i) {
    gemma2.AddTensor("blk." + std::to_string(i) + ".attn_norm.weight", {64, 1, 1, 1});
  }
  EXPECT_EQ(gemma2.Read()->attention_scale, 0.25);

  Header gemma3 = HeaderOf("gemma3");
  gemma3.SetUint("gemma3.attention.sliding_window", 512);
  gemma3.SetFloat("gemma3.rope.freq_base", 1e6F);
  EXPECT_EQ(gemma3.Read()->rope_base, 1e6);
  EXPECT_EQ(gemma3.Read()->local_rope_base, 10000);
  gemma3.SetFloat("gemma3.rope.freq_base_swa", 20000);
  EXPECT_EQ(gemma3.Read()->local_rope_base, 20000);

  Header phi3 = HeaderOf("phi3");
  phi3.SetUint("phi3.attention.sliding_window", 0);
  EXPECT_EQ(phi3.Read()->rope_short_context, 2048);
  phi3.SetString("phi3.rope.scaling.type", "longrope");
  phi3.SetUint("phi3.rope.scaling.original_context_length", 512);
  phi3.SetFloat("phi3.rope.scaling.attn_factor", 1.25F);
  EXPECT_EQ(phi3.Read()->rope_short_context, 512);
  EXPECT_EQ(phi3.Read()->rope_magnitude, 1.25);
  EXPECT_EQ(phi3.Read()->WindowOf(0), 0);

  Header experts = HeaderOf("qwen3moe");
  experts.SetUint("qwen3moe.expert_count", 8);
  experts.SetUint("qwen3moe.expert_used_count", 2);
  experts.SetUint("qwen3moe.expert_feed_forward_length", 96);
  EXPECT_EQ(experts.Read()->d_ff_expert, 96);

  Header granite = HeaderOf("granite");
  granite.SetFloat("granite.embedding_scale", 12);
  granite.SetFloat("granite.residual_scale", 0.25F);
  granite.SetFloat("granite.attention.scale", 0.125F);
  granite.SetFloat("granite.logit_scale", 8);
  EXPECT_EQ(granite.Read()->embedding_scale, 12);
  EXPECT_EQ(granite.Read()->residual_scale, 0.25);
  EXPECT_EQ(granite.Read()->attention_scale, 0.125);
  EXPECT_EQ(granite.Read()->logit_scale, 0.125);

  Header smollm3 = HeaderOf("smollm3");
  EXPECT_TRUE(smollm3.Read()->HasRope(2));
  EXPECT_FALSE(smollm3.Read()->HasRope(3));

  Header stablelm = HeaderOf("stablelm");
  EXPECT_THAT(stablelm.Read().error().OneLine(),
              HasSubstr("'stablelm.attention.layer_norm_epsilon'"));
  stablelm.SetFloat("stablelm.attention.layer_norm_epsilon", 1e-6F);
  EXPECT_EQ(stablelm.Read()->norm_eps, 1e-6F);
}

TEST(ModelConfig, ReadsYarn) {
  Header header;
  EXPECT_FALSE(header.Read()->yarn);
  header.SetYarn(8);
  ModelConfig config = header.Read().value();
  EXPECT_EQ(config.rope_scale, 0.125);
  EXPECT_EQ(config.rope_magnitude, 1 + 0.1 * std::log(8.0));
  EXPECT_EQ(config.yarn->original_context, 2048);
  EXPECT_EQ(config.yarn->beta_fast, 32);
  EXPECT_EQ(config.yarn->beta_slow, 1);
  header.SetUint("llama.rope.scaling.original_context_length", 256);
  header.SetFloat("llama.rope.scaling.yarn_beta_fast", 16);
  header.SetFloat("llama.rope.scaling.yarn_beta_slow", 2);
  config = header.Read().value();
  EXPECT_EQ(config.yarn->original_context, 256);
  EXPECT_EQ(config.yarn->beta_fast, 16);
  EXPECT_EQ(config.yarn->beta_slow, 2);
}

TEST(ModelConfig, ReadsExperts) {
  Header header;
  EXPECT_FALSE(header.Read()->has_experts());
  header.SetExperts(8, 2);
  header.Set("llama.expert_weights_norm", MetaType::kBool, true);
  header.SetUint("llama.expert_shared_count", 0);
  header.SetUint("llama.expert_gating_func", 1);
  const Result<ModelConfig> config = header.Read();
  ASSERT_TRUE(config) << config.error().OneLine();
  EXPECT_TRUE(config->has_experts());
  EXPECT_EQ(config->n_experts, 8);
  EXPECT_EQ(config->n_experts_used, 2);
}

TEST(ModelConfig, AcceptsEqualValuesOfAllLayersAsArray) {
  Header header;
  header.SetArray("llama.attention.head_count", {4, 4});
  header.SetArray("llama.attention.head_count_kv", {1, 1});
  header.SetArray("llama.feed_forward_length", {128, 128});
  const Result<ModelConfig> config = header.Read();
  ASSERT_TRUE(config) << config.error().OneLine();
  EXPECT_EQ(config->n_heads, 4);
  EXPECT_EQ(config->n_kv_heads, 1);
  EXPECT_EQ(config->d_ff, 128);
}

TEST(ModelConfig, ReadsTheLinearFactorOfOldFiles) {
  Header header;
  header.SetFloat("llama.rope.scale_linear", 2);
  EXPECT_EQ(header.Read()->rope_scale, 0.5);
  header.SetString("llama.rope.scaling.type", "none");
  EXPECT_EQ(header.Read()->rope_scale, 1);
}

struct BadHeader {
  const char* name;
  std::function<void(Header&)> change;
  ErrorCode code;
  std::vector<const char*> says;
};

// For gtest's messages.
void PrintTo(const BadHeader& bad, std::ostream* out) { *out << bad.name; }

class ModelConfigRejects : public ::testing::TestWithParam<BadHeader> {};

TEST_P(ModelConfigRejects, WithAMessage) {
  Header header;
  GetParam().change(header);
  const Result<ModelConfig> config = header.Read();
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, GetParam().code) << config.error().OneLine();
  EXPECT_THAT(config.error().message, HasSubstr("a.gguf: "));
  EXPECT_EQ(config.error().OneLine().find('\n'), std::string::npos);
  for (const char* part : GetParam().says) {
    EXPECT_THAT(config.error().message, HasSubstr(part));
  }
}

constexpr ErrorCode kBad = ErrorCode::kBadData;
constexpr ErrorCode kNo = ErrorCode::kUnavailable;

const BadHeader kBadHeaders[] = {
    {"NoArchitecture",
     [](Header& h) { h.Remove("general.architecture"); },
     kBad,
     {"'general.architecture'", "missing"}},
    {"UnknownArchitecture",
     [](Header& h) { h.SetString("general.architecture", "mamba"); },
     kNo,
     {"'mamba'", "those that run: llama, bitnet, bitnet-b1.58"}},
    {"HostileArchitecture",
     [](Header& h) { h.SetString("general.architecture", "a\x1b[2J\n"); },
     kNo,
     {"\\x1b"}},
    {"ArchitectureNotText",
     [](Header& h) { h.SetUint("general.architecture", 1); },
     kBad,
     {"string", "u32"}},
    {"NameNotText", [](Header& h) { h.SetUint("general.name", 1); }, kBad, {"'general.name'"}},
    {"NoLayers",
     [](Header& h) { h.SetUint("llama.block_count", 0); },
     kBad,
     {"'llama.block_count'", "1..1024", "found 0"}},
    {"TwoToThe31Layers",
     [](Header& h) { h.SetUint("llama.block_count", 1U << 31); },
     kBad,
     {"'llama.block_count'", "2147483648"}},
    {"NegativeLayers",
     [](Header& h) { h.Set("llama.block_count", MetaType::kInt32, int32_t{-1}); },
     kBad,
     {"'llama.block_count'", "-1"}},
    {"LayersAsFloat",
     [](Header& h) { h.SetFloat("llama.block_count", 2); },
     kBad,
     {"'llama.block_count'", "f32"}},
    {"MoreLayersThanTensors",
     [](Header& h) { h.SetUint("llama.block_count", 1000); },
     kBad,
     {"1000 layers", "'blk.999.attn_norm.weight' is missing"}},
    {"NoEmbeddingLength",
     [](Header& h) { h.Remove("llama.embedding_length"); },
     kBad,
     {"'llama.embedding_length'", "missing"}},
    {"HugeEmbedding",
     [](Header& h) { h.SetUint("llama.embedding_length", 1U << 30); },
     kBad,
     {"'llama.embedding_length'", "1..262144"}},
    {"HugeFeedForward",
     [](Header& h) { h.SetUint("llama.feed_forward_length", 1U << 30); },
     kBad,
     {"'llama.feed_forward_length'"}},
    {"NoContext",
     [](Header& h) { h.SetUint("llama.context_length", 0); },
     kBad,
     {"'llama.context_length'", "found 0"}},
    {"NoHeads",
     [](Header& h) { h.SetUint("llama.attention.head_count", 0); },
     kBad,
     {"'llama.attention.head_count'", "found 0"}},
    {"HeadsDoNotDivide",
     [](Header& h) { h.SetUint("llama.attention.head_count", 6); },
     kBad,
     {"'llama.attention.head_count'", "divisor of embedding_length 64", "found 6"}},
    {"NoKvHeads",
     [](Header& h) { h.SetUint("llama.attention.head_count_kv", 0); },
     kBad,
     {"'llama.attention.head_count_kv'", "found 0"}},
    {"KvHeadsDoNotDivide",
     [](Header& h) { h.SetUint("llama.attention.head_count_kv", 3); },
     kBad,
     {"'llama.attention.head_count_kv'", "divisor of attention.head_count 4", "found 3"}},
    {"MoreKvHeadsThanHeads",
     [](Header& h) { h.SetUint("llama.attention.head_count_kv", 8); },
     kBad,
     {"'llama.attention.head_count_kv'", "found 8"}},
    {"HeadsDifferByLayer",
     [](Header& h) {
       h.SetArray("llama.attention.head_count", {4, 2});
     },
     kNo,
     {"'llama.attention.head_count'", "array of 2 u32", "layers differ"}},
    {"KvHeadsDifferByLayer",
     [](Header& h) {
       h.SetArray("llama.attention.head_count_kv", {2, 1});
     },
     kNo,
     {"'llama.attention.head_count_kv'"}},
    {"EmptyArrayOfHeads",
     [](Header& h) { h.SetArray("llama.attention.head_count", {}); },
     kNo,
     {"'llama.attention.head_count'"}},
    {"ArrayOfZeroHeads",
     [](Header& h) {
       h.SetArray("llama.attention.head_count", {0, 0});
     },
     kBad,
     {"'llama.attention.head_count'", "found 0"}},
    {"HugeHeads",
     [](Header& h) {
       h.SetUint("llama.embedding_length", 1U << 18);
       h.SetUint("llama.attention.head_count", 1);
       h.SetUint("llama.attention.head_count_kv", 1);
     },
     kBad,
     {"'llama.attention.head_count'", "at most 1024", "262144"}},
    {"HugeKeyLength",
     [](Header& h) { h.SetUint("llama.attention.key_length", 2048); },
     kBad,
     {"'llama.attention.key_length'", "found 2048"}},
    {"ValuesOfOtherLength",
     [](Header& h) { h.SetUint("llama.attention.value_length", 8); },
     kNo,
     {"'llama.attention.value_length'", "8", "16"}},
    {"OddRope",
     [](Header& h) { h.SetUint("llama.rope.dimension_count", 15); },
     kBad,
     {"'llama.rope.dimension_count'", "even", "15"}},
    {"RopeBeyondTheHead",
     [](Header& h) { h.SetUint("llama.rope.dimension_count", 18); },
     kBad,
     {"'llama.rope.dimension_count'", "1..16", "18"}},
    {"NoRopeDimensions",
     [](Header& h) { h.SetUint("llama.rope.dimension_count", 0); },
     kBad,
     {"'llama.rope.dimension_count'"}},
    {"RopeBaseZero",
     [](Header& h) { h.SetFloat("llama.rope.freq_base", 0); },
     kBad,
     {"'llama.rope.freq_base'", "found 0"}},
    {"RopeBaseInfinite",
     [](Header& h) { h.SetFloat("llama.rope.freq_base", INFINITY); },
     kBad,
     {"'llama.rope.freq_base'", "inf"}},
    {"LinearWithoutFactor",
     [](Header& h) { h.SetString("llama.rope.scaling.type", "linear"); },
     kBad,
     {"'llama.rope.scaling.factor'", "missing"}},
    {"LinearFactorZero",
     [](Header& h) {
       h.SetString("llama.rope.scaling.type", "linear");
       h.SetFloat("llama.rope.scaling.factor", 0);
     },
     kBad,
     {"'llama.rope.scaling.factor'", "found 0"}},
    {"UnknownScaling",
     [](Header& h) { h.SetString("llama.rope.scaling.type", "dynamic"); },
     kNo,
     {"'llama.rope.scaling.type'", "'dynamic'", "llama", "none, linear and yarn are"}},
    {"YarnWithoutFactor",
     [](Header& h) { h.SetString("llama.rope.scaling.type", "yarn"); },
     kBad,
     {"'llama.rope.scaling.factor'", "missing"}},
    {"YarnThatShrinks",
     [](Header& h) { h.SetYarn(0.5F); },
     kBad,
     {"'llama.rope.scaling.factor'", "found 0.5"}},
    {"YarnOfEqualPairs",
     [](Header& h) {
       h.SetYarn(2);
       h.SetFloat("llama.rope.freq_base", 1);
     },
     kBad,
     {"'llama.rope.freq_base'", "more than 1"}},
    {"YarnInPart",
     [](Header& h) {
       h.SetYarn(2);
       h.SetFloat("llama.rope.scaling.yarn_ext_factor", 0.5F);
     },
     kNo,
     {"'llama.rope.scaling.yarn_ext_factor'", "0.5 is not supported"}},
    {"LongRope",
     [](Header& h) { h.SetString("llama.rope.scaling.type", "longrope"); },
     kNo,
     {"'longrope'"}},
    {"EpsZero",
     [](Header& h) { h.SetFloat("llama.attention.layer_norm_rms_epsilon", 0); },
     kBad,
     {"layer_norm_rms_epsilon'", "found 0"}},
    {"EpsNegative",
     [](Header& h) { h.SetFloat("llama.attention.layer_norm_rms_epsilon", -1e-5F); },
     kBad,
     {"layer_norm_rms_epsilon'", "found -1e-05"}},
    {"EpsNan",
     [](Header& h) { h.SetFloat("llama.attention.layer_norm_rms_epsilon", NAN); },
     kBad,
     {"layer_norm_rms_epsilon'", "nan"}},
    {"NoEps",
     [](Header& h) { h.Remove("llama.attention.layer_norm_rms_epsilon"); },
     kBad,
     {"layer_norm_rms_epsilon'", "missing"}},
    {"ExpertsWhereThereAreNone",
     [](Header& h) {
       h.SetUint("llama.expert_count", 8);
       h.SetArchitecture("bitnet");
     },
     kNo,
     {"'bitnet.expert_count'", "mixture-of-experts bitnet", "8 experts"}},
    {"OneExpert",
     [](Header& h) { h.SetExperts(1, 1); },
     kBad,
     {"'llama.expert_count'", "2..512", "found 1"}},
    {"TooManyExperts",
     [](Header& h) { h.SetExperts(1000, 2); },
     kBad,
     {"'llama.expert_count'", "found 1000"}},
    {"NoExpertsUsed",
     [](Header& h) { h.SetUint("llama.expert_count", 8); },
     kBad,
     {"'llama.expert_used_count'", "missing"}},
    {"MoreExpertsUsedThanThereAre",
     [](Header& h) { h.SetExperts(8, 9); },
     kBad,
     {"'llama.expert_used_count'", "1..8", "found 9"}},
    {"SharedExperts",
     [](Header& h) {
       h.SetExperts(8, 2);
       h.SetUint("llama.expert_shared_count", 1);
     },
     kNo,
     {"'llama.expert_shared_count'", "1 is not supported (only 0 is)"}},
    {"SigmoidRouter",
     [](Header& h) {
       h.SetExperts(8, 2);
       h.SetUint("llama.expert_gating_func", 2);
     },
     kNo,
     {"'llama.expert_gating_func'", "2 is not supported"}},
    {"ScaledExperts",
     [](Header& h) {
       h.SetExperts(8, 2);
       h.SetFloat("llama.expert_weights_scale", 2.5F);
     },
     kNo,
     {"'llama.expert_weights_scale'", "2.5 is not supported"}},
    {"WeightsOfExpertsAsTheyAre",
     [](Header& h) {
       h.SetExperts(8, 2);
       h.Set("llama.expert_weights_norm", MetaType::kBool, false);
     },
     kNo,
     {"'llama.expert_weights_norm'"}},
    {"MixtureWithoutExperts",
     [](Header& h) { h.SetArchitecture("qwen3moe"); },
     kBad,
     {"'qwen3moe.expert_count'", "missing"}},
    {"WindowWhereThereIsNone",
     [](Header& h) {
       h.SetArchitecture("qwen3");
       h.SetUint("qwen3.attention.sliding_window", 1024);
     },
     kNo,
     {"'qwen3.attention.sliding_window'", "1024 of 2048 positions", "not supported for qwen3"}},
    {"NoWindowWhereThereIsOne",
     [](Header& h) { h.SetArchitecture("phi3"); },
     kBad,
     {"'phi3.attention.sliding_window'", "missing"}},
    {"CapsWhereThereAreNone",
     [](Header& h) { h.SetFloat("llama.final_logit_softcapping", 30); },
     kNo,
     {"'llama.final_logit_softcapping'", "soft caps are not supported for llama"}},
    {"NoCapsWhereThereAreSome",
     [](Header& h) {
       h.SetArchitecture("gemma2");
       h.SetUint("gemma2.attention.sliding_window", 1024);
     },
     kBad,
     {"'gemma2.attn_logit_softcapping'", "missing"}},
    {"MagnitudeOfRope",
     [](Header& h) { h.SetFloat("llama.rope.scaling.attn_factor", 1.5F); },
     kNo,
     {"'llama.rope.scaling.attn_factor'", "1.5 is not supported for llama"}},
    {"LongRopeOfLlama",
     [](Header& h) { h.SetString("llama.rope.scaling.type", "longrope"); },
     kNo,
     {"'llama.rope.scaling.type'"}},
    {"MultiplierWhereThereIsNone",
     [](Header& h) { h.SetFloat("llama.residual_scale", 0.5F); },
     kNo,
     {"'llama.residual_scale'", "0.5 is not supported for llama (only 1 is)"}},
    {"ScaleOfAttention",
     [](Header& h) { h.SetFloat("llama.attention.scale", 0.5F); },
     kNo,
     {"'llama.attention.scale'", "0.5 is not supported for llama (only 0.25 is)"}},
    {"GraniteWithoutRope",
     [](Header& h) {
       h.SetArchitecture("granite");
       h.Set("granite.rope.scaling.finetuned", MetaType::kBool, false);
     },
     kNo,
     {"'granite.rope.scaling.finetuned'", "false is not supported for granite"}},
    {"NoEmbeddings",
     [](Header& h) { h.RemoveTensor("token_embd.weight"); },
     kBad,
     {"'token_embd.weight' is missing"}},
    {"OtherNumberOfTokens",
     [](Header& h) { h.SetTokens(301); },
     kBad,
     {"'token_embd.weight'", "expected 301 rows", "found 300"}},
    {"TokensNotAnArray",
     [](Header& h) { h.SetUint("tokenizer.ggml.tokens", 300); },
     kBad,
     {"'tokenizer.ggml.tokens'", "array"}},
};

INSTANTIATE_TEST_SUITE_P(All, ModelConfigRejects, ::testing::ValuesIn(kBadHeaders),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace llmrun
