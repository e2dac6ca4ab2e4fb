// Sessions of models that are not a plain llama.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "model/session.h"
#include "sched/team.h"
#include "tests/loader/restrict_thread.h"
#include "tests/support/loaded_model.h"
#include "tests/support/reference_llama.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

std::vector<TokenId> TokensOf(size_t count) { return TokensFrom(11, count); }

struct Kind {
  const char* name;
  TinyLlamaSpec spec;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

// Experts of whole panels, of parts of one, one that all tokens go to, more than all tokens use.
const Kind kKinds[] = {
    {"Bitnet", {.architecture = "bitnet"}},
    {"BitnetScales", {.architecture = "bitnet", .scales = true}},
    {"BitnetB158", {.n_heads = 2, .tied = true, .architecture = "bitnet-b1.58"}},
    {"Qwen2", {.tied = true, .architecture = "qwen2"}},
    {"Qwen3", {.n_heads = 2, .architecture = "qwen3"}},
    {"Qwen3Experts3Of8", {.architecture = "qwen3moe", .n_experts = 8, .n_experts_used = 3}},
    {"Olmo2", {.architecture = "olmo2"}},
    {"StableLm", {.architecture = "stablelm"}},
    {"Phi3", {.architecture = "phi3"}},
    {"Gemma2", {.tied = true, .architecture = "gemma2"}},
    {"Gemma3", {.n_layers = 6, .n_heads = 2, .tied = true, .architecture = "gemma3"}},
    {"Granite", {.architecture = "granite"}},
    {"GptOss", {.n_heads = 2, .architecture = "gpt-oss", .n_experts = 4, .n_experts_used = 2}},
    // So many that rows of their biases would be dealt out to nodes.
    {"GptOss6Of64",
     {.n_kv_heads = 1,
      .d_ff = 32,
      .architecture = "gpt-oss",
      .n_experts = 64,
      .n_experts_used = 6}},
    {"DeepseekV3",
     {.n_layers = 3,
      .n_kv_heads = 4,
      .architecture = "deepseek2",
      .n_experts = 8,
      .n_experts_used = 3,
      .deepseek_v3 = true}},
    {"DeepseekV3Latents",
     {.n_layers = 3,
      .n_kv_heads = 1,
      .architecture = "deepseek2",
      .n_experts = 8,
      .n_experts_used = 3,
      .deepseek_v3 = true,
      .cached_latents = true}},
    {"DeepseekV2LiteLatents",
     {.n_heads = 8,
      .n_kv_heads = 1,
      .architecture = "deepseek2",
      .n_experts = 8,
      .n_experts_used = 2,
      .cached_latents = true}},
    {"DeepseekV2Lite",
     {.n_layers = 3,
      .n_heads = 2,
      .n_kv_heads = 2,
      .architecture = "deepseek2",
      .n_experts = 8,
      .n_experts_used = 2}},
    {"DeepseekGroups",
     {.n_heads = 8,
      .n_kv_heads = 8,
      .architecture = "deepseek2",
      .n_experts = 16,
      .n_experts_used = 4,
      .deepseek_v3 = true,
      .n_expert_groups = 4}},
    {"SmolLm3", {.n_layers = 4, .tied = true, .architecture = "smollm3"}},
    {"MistralWindow", {.window = 7}},
    {"Experts2Of4", {.n_experts = 4, .n_experts_used = 2}},
    {"Experts1Of3",
     {.d_model = 36,
      .n_heads = 3,
      .n_kv_heads = 3,
      .d_ff = 50,
      .n_experts = 3,
      .n_experts_used = 1}},
    {"Experts3Of3", {.d_ff = 32, .n_experts = 3, .n_experts_used = 3}},
    {"Experts5Of40", {.d_ff = 96, .n_experts = 40, .n_experts_used = 5}},
};

std::vector<float> LogitsOfAll(const LoadedModel& model, std::span<const TokenId> tokens,
                               int threads, const SessionOptions& options) {
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(threads);
  const auto session = model.NewSession(*pool, options).value();
  const std::span<const float> logits = session->Forward(tokens, LogitsOf::kAll).value();
  return {logits.begin(), logits.end()};
}

class SessionKinds : public ::testing::TestWithParam<Kind> {};

TEST_P(SessionKinds, AgreeWithTheReferenceOnEveryIsa) {
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    TinyLlamaSpec spec = GetParam().spec;
    spec.dtype = dtype;
    const TempFile file(BuildTinyLlama(spec));
    const auto model = LoadedModel::Start(file.path()).value();
    const std::vector<TokenId> tokens = TokensOf(24);
    const std::vector<double> truth = ReferenceLlama(model->index).Logits(tokens);
    for (const IsaLevel isa : SupportedIsaLevels()) {
      SessionOptions options;
      options.kv_type = DType::kF32;
      options.isa = isa;
      EXPECT_LE(Nmse(LogitsOfAll(*model, tokens, 2, options), truth), 1e-9) << NameOf(isa);
    }
  }
}

// What that is worth: the other activation, or the other rotation, is far away.
TEST(SessionArchitectures, WhatMakesThemDifferentCanBeSeen) {
  const TempFile file(BuildTinyLlama({.architecture = "bitnet-b1.58"}));
  const auto model = LoadedModel::Start(file.path()).value();
  const std::vector<TokenId> tokens = TokensOf(24);
  const std::vector<double> truth = ReferenceLlama(model->index).Logits(tokens);
  const std::vector<double> interleaved =
      ReferenceLlama(model->index, {.rope_in_halves = true}).Logits(tokens);
  SessionOptions options;
  options.kv_type = DType::kF32;
  EXPECT_GT(Nmse(LogitsOfAll(*model, tokens, 1, options), interleaved), 1e-4);
  model->config.kind.activation = Activation::kSilu;
  EXPECT_GT(Nmse(LogitsOfAll(*model, tokens, 1, options), truth), 1e-4);
}

TEST(SessionArchitectures, SinksAndYarnCanBeSeen) {
  const TempFile file(
      BuildTinyLlama({.architecture = "gpt-oss", .n_experts = 4, .n_experts_used = 2}));
  const auto model = LoadedModel::Start(file.path()).value();
  const std::vector<TokenId> tokens = TokensOf(40);
  SessionOptions options;
  options.kv_type = DType::kF32;
  const std::vector<float> logits = LogitsOfAll(*model, tokens, 1, options);
  for (const ReferenceOptions& wrong :
       {ReferenceOptions{.ignore_rope_scale = true}, ReferenceOptions{.ignore_sinks = true}}) {
    EXPECT_GT(Nmse(logits, ReferenceLlama(model->index, wrong).Logits(tokens)), 1e-5);
  }
}

// Threads, batches (of one token, too), teams that change between them, levels, packed or not.
TEST_P(SessionKinds, HaveTheSameBitsHoweverTheWorkIsDivided) {
  for (const DType dtype : {DType::kF32, DType::kQ8_0}) {
    TinyLlamaSpec spec = GetParam().spec;
    if (spec.d_model % 32 != 0 && dtype == DType::kQ8_0) continue;
    spec.dtype = dtype;
    const TempFile file(BuildTinyLlama(spec));
    const auto plain = LoadedModel::Start(file.path(), {.pack = false}).value();
    const auto packed = LoadedModel::Start(file.path()).value();
    const std::vector<TokenId> tokens = TokensOf(33);
    const std::vector<float> expected = LogitsOfAll(*plain, tokens, 1, {});
    for (const int threads : {1, 2, 3, 4, 9}) {
      for (const int64_t n_batch : {1, 2, 7, 32, 33}) {
        SessionOptions options;
        options.n_batch = n_batch;
        options.isa =
            SupportedIsaLevels()[static_cast<size_t>(threads) % SupportedIsaLevels().size()];
        EXPECT_EQ(LogitsOfAll(*packed, tokens, threads, options), expected)
            << NameOf(dtype) << ", " << threads << " threads, batches of " << n_batch;
      }
    }
    EXPECT_EQ(packed->weights->Finish().value().packed_bytes > 0, dtype == DType::kQ8_0);
  }
}

TEST_P(SessionKinds, HaveTheSameBitsForTeamsThatChange) {
  TinyLlamaSpec spec = GetParam().spec;
  const TempFile file(BuildTinyLlama(spec));
  const auto model = LoadedModel::Start(file.path()).value();
  const std::vector<TokenId> tokens = TokensOf(40);
  const std::vector<float> expected = LogitsOfAll(*model, tokens, 1, {});
  constexpr size_t kMembers = 9;
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(kMembers);
  std::mt19937 random(5);
  SessionOptions options;
  options.before_batch = [&](int64_t /*n_tokens*/) {
    std::vector<std::optional<unsigned>> nodes(kMembers);
    std::vector<double> weights(kMembers);
    for (size_t i = 0; i < kMembers; ++i) {
      if (random() % 4 != 0) nodes[i] = static_cast<unsigned>(random() % 3);
      weights[i] = random() % 3 != 0 ? 1.0 / static_cast<double>(1 + random() % 3) : 0;
    }
    weights[0] = 1;
    pool->SetTeam(std::make_shared<Team>(nodes, weights));
  };
  for (const int64_t n_batch : {1, 7}) {
    options.n_batch = n_batch;
    const auto session = model->NewSession(*pool, options).value();
    const std::span<const float> logits = session->Forward(tokens, LogitsOf::kAll).value();
    EXPECT_EQ(std::vector<float>(logits.begin(), logits.end()), expected) << n_batch;
  }
}

// Weights on two nodes that this machine does not have, which are not bound to.
TEST_P(SessionKinds, HaveTheSameBitsWhereverExpertsLie) {
  TinyLlamaSpec spec = GetParam().spec;
  if (spec.d_model % 32 == 0) spec.dtype = DType::kQ8_0;
  const TempFile file(BuildTinyLlama(spec));
  const std::vector<TokenId> tokens = TokensOf(20);
  const std::vector<float> expected =
      LogitsOfAll(*LoadedModel::Start(file.path()).value(), tokens, 1, {});
  const Machine machine = SyntheticMachine("pack:2 [numa(memory=8GB)] core:2 pu:1").value();
  for (const NumaMode mode : {NumaMode::kShard, NumaMode::kMirror}) {
    for (const bool pack : {false, true}) {
      bool refused = false;
      std::thread([&] {
        refused = RefuseSyscall(SYS_mbind, EPERM);
        if (!refused) return;
        ModelStart start;
        start.load.numa.mode = mode;
        start.pack = pack;
        start.machine = &machine;
        const auto model = LoadedModel::Start(file.path(), start).value();
        ASSERT_EQ(model->weights->plan().arenas.size(), 2U);
        for (const int64_t n_batch : {1, 20}) {
          SessionOptions options;
          options.n_batch = n_batch;
          EXPECT_EQ(LogitsOfAll(*model, tokens, 3, options), expected)
              << NameOf(NumaPolicy{.mode = mode}) << ", batches of " << n_batch;
        }
      }).join();
      if (!refused) GTEST_SKIP() << "no seccomp filters here";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, SessionKinds, ::testing::ValuesIn(kKinds),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(SessionArchitectures, ScratchGrowsWithTheExpertsOfAToken) {
  const auto scratch_bytes = [](uint32_t n_experts_used) {
    const TempFile file(BuildTinyLlama({.n_experts = 4, .n_experts_used = n_experts_used}));
    const auto model = LoadedModel::Start(file.path()).value();
    const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
    return model->NewSession(*pool, {}).value()->scratch_bytes();
  };
  // Of a token at one more expert: gate and up, and what goes into them and comes out of down.
  constexpr uint64_t kLeast = 128 * (2 * 128 + 2 * 64) * sizeof(float);
  EXPECT_GE(scratch_bytes(3), scratch_bytes(2) + kLeast);
}

// Of a position: four heads of 48 (40 and padding) and 16 elements, or one of 48 and 32.
TEST(SessionArchitectures, LatentsInTheCacheAreSmaller) {
  const auto kv_bytes = [](bool cached_latents) {
    const TempFile file(BuildTinyLlama({.n_kv_heads = cached_latents ? 1U : 4U,
                                        .n_context = 16384,
                                        .architecture = "deepseek2",
                                        .n_experts = 4,
                                        .n_experts_used = 2,
                                        .cached_latents = cached_latents}));
    const auto model = LoadedModel::Start(file.path()).value();
    const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
    return model->NewSession(*pool, {.n_ctx = 16384}).value()->kv_bytes();
  };
  constexpr uint64_t kPositions = 2 * 16384;  // of both layers
  EXPECT_GE(kv_bytes(false), kPositions * 4 * 64 * 2);
  EXPECT_LT(kv_bytes(true), kPositions * 2 * 64 * 2);
  EXPECT_GE(kv_bytes(true), kPositions * 80 * 2);
}

TEST(SessionArchitectures, RefuseScalesWhereThereAreNone) {
  const TempFile file(BuildTinyLlama({.architecture = "bitnet-b1.58", .scales = true}));
  const auto model = LoadedModel::Start(file.path()).value();
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  const auto session = model->NewSession(*pool, {});
  ASSERT_FALSE(session);
  EXPECT_THAT(session.error().OneLine(), HasSubstr("'blk.0.attn_q.scale': not a tensor of "
                                                   "architecture 'bitnet-b1.58'"));
}

// What is said to a model of which one tensor's description is another.
std::string RefusalOf(const TinyLlamaSpec& spec, const char* name, void (*change)(TensorInfo&)) {
  const TempFile file(BuildTinyLlama(spec));
  const auto edit = [&](GgufFile& header) {
    for (TensorInfo& tensor : header.tensors) {
      if (tensor.name == name) change(tensor);
    }
  };
  const auto model = LoadedModel::Start(file.path(), {.edit = edit}).value();
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  const auto session = model->NewSession(*pool, {});
  return session ? "accepted" : session.error().OneLine();
}

TEST(SessionArchitectures, RefuseTensorsThatAreMissingOrOfOtherShapes) {
  const auto refusal = [](std::string_view architecture, const char* name,
                          void (*change)(TensorInfo&)) {
    return RefusalOf({.architecture = architecture}, name, change);
  };
  const auto rename = [](TensorInfo& t) { t.name = "x"; };
  EXPECT_THAT(refusal("qwen2", "blk.1.attn_k.bias", rename),
              HasSubstr("'blk.1.attn_k.bias' is missing"));
  EXPECT_THAT(refusal("qwen3", "blk.1.attn_q_norm.weight", rename),
              HasSubstr("'blk.1.attn_q_norm.weight' is missing"));
  EXPECT_THAT(refusal("olmo2", "blk.0.attn_k_norm.weight", [](TensorInfo& t) { t.dims[0] = 16; }),
              HasSubstr("expected shape [32], found [16]"));
  EXPECT_THAT(refusal("olmo2", "blk.0.post_ffw_norm.weight", rename),
              HasSubstr("'blk.0.post_ffw_norm.weight' is missing"));
  const TinyLlamaSpec gpt_oss{.architecture = "gpt-oss", .n_experts = 4, .n_experts_used = 2};
  for (const char* name : {"blk.1.attn_sinks.weight", "blk.0.attn_output.bias",
                           "blk.0.ffn_gate_inp.bias", "blk.1.post_attention_norm.weight"}) {
    EXPECT_THAT(RefusalOf(gpt_oss, name, rename), HasSubstr(fmt::format("'{}' is missing", name)));
  }
  EXPECT_THAT(RefusalOf(gpt_oss, "blk.0.ffn_up_exps.bias", [](TensorInfo& t) { t.dims[1] = 3; }),
              HasSubstr("expected shape [128, 4], found [128, 3]"));
  const TinyLlamaSpec deepseek{.n_kv_heads = 4,
                               .architecture = "deepseek2",
                               .n_experts = 4,
                               .n_experts_used = 2,
                               .deepseek_v3 = true};
  for (const char* name : {"blk.0.attn_q_b.weight", "blk.1.attn_kv_a_norm.weight",
                           "blk.1.ffn_down_shexp.weight", "blk.0.attn_kv_b.weight"}) {
    EXPECT_THAT(RefusalOf(deepseek, name, rename), HasSubstr(fmt::format("'{}' is missing", name)));
  }
  EXPECT_THAT(refusal("stablelm", "output_norm.bias", rename),
              HasSubstr("'output_norm.bias' is missing"));
  EXPECT_THAT(refusal("phi3", "blk.0.attn_qkv.weight", [](TensorInfo& t) { t.dims[1] = 120; }),
              HasSubstr("expected shape [64, 128], found [64, 120]"));
  EXPECT_THAT(RefusalOf({.d_ff = 40, .architecture = "phi3"}, "", rename),
              HasSubstr("'blk.0.ffn_up.weight': several matrices in one, of which one begins at "
                        "row 40: only multiples of 16 are supported"));
}

TEST(SessionArchitectures, FactorsOfRopeFollowTheLengthOfTheContext) {
  const TempFile file(BuildTinyLlama({.n_context = 64, .architecture = "phi3"}));
  const auto model = LoadedModel::Start(file.path()).value();
  const std::vector<TokenId> tokens = TokensOf(24);
  const std::vector<double> of_long = ReferenceLlama(model->index).Logits(tokens);
  SessionOptions options;
  options.kv_type = DType::kF32;
  options.n_ctx = 33;  // the original context is 32
  EXPECT_LE(Nmse(LogitsOfAll(*model, tokens, 1, options), of_long), 1e-9);
  options.n_ctx = 32;
  EXPECT_GT(Nmse(LogitsOfAll(*model, tokens, 1, options), of_long), 1e-6);
}

TEST(SessionArchitectures, RefuseRopeWithoutItsFactors) {
  EXPECT_THAT(RefusalOf({.architecture = "phi3"}, "rope_factors_long.weight",
                        [](TensorInfo& t) { t.name = "x"; }),
              HasSubstr("'rope_factors_long.weight' is missing"));
}

TEST(SessionArchitectures, RefuseExpertsOfOtherShapes) {
  const auto refusal = [](const char* name, void (*change)(TensorInfo&)) {
    return RefusalOf({.n_experts = 4, .n_experts_used = 2}, name, change);
  };
  EXPECT_THAT(refusal("blk.1.ffn_up_exps.weight", [](TensorInfo& t) { t.dims[2] = 3; }),
              HasSubstr("'blk.1.ffn_up_exps.weight': expected shape [64, 128, 4], found "
                        "[64, 128, 3]"));
  EXPECT_THAT(refusal("blk.0.ffn_gate_inp.weight", [](TensorInfo& t) { t.name = "x"; }),
              HasSubstr("'blk.0.ffn_gate_inp.weight' is missing"));
  EXPECT_THAT(refusal("blk.0.ffn_norm.weight", [](TensorInfo& t) { t.dtype = DType::kI32; }),
              HasSubstr("expected type F32, found I32"));
}

}  // namespace
}  // namespace llmrun
