#include "text/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace llmrun {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Ids = std::vector<TokenId>;

// Every step off, temperature 1.
SamplerOptions Plain(uint64_t seed = 1) {
  return {.temperature = 1.0F, .top_k = 0, .top_p = 1.0F, .min_p = 0.0F, .seed = seed};
}

std::vector<TokenId> Draw(const SamplerOptions& options, const std::vector<float>& logits, int n) {
  Sampler sampler = Sampler::Create(options).value();
  std::vector<TokenId> ids;
  for (int i = 0; i < n; ++i) ids.push_back(sampler.Sample(logits).value());
  return ids;
}

std::set<TokenId> Seen(const SamplerOptions& options, const std::vector<float>& logits) {
  const std::vector<TokenId> ids = Draw(options, logits, 2000);
  return {ids.begin(), ids.end()};
}

TEST(Sampler, GreedyTakesTheFirstOfTheLargest) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  EXPECT_EQ(Draw(options, {1, 5, kNan, 5, -kInf}, 1), std::vector<TokenId>{1});
  options = Plain();
  options.top_k = 1;
  EXPECT_EQ(Draw(options, {-9, -8, -8}, 3), (std::vector<TokenId>{1, 1, 1}));
  options.temperature = 0;
  EXPECT_EQ(Draw(options, {kInf, kInf}, 1), std::vector<TokenId>{0});
}

TEST(Sampler, TheSeedDecides) {
  const std::vector<float> logits(50, 0.0F);
  EXPECT_EQ(Draw(Plain(7), logits, 100), Draw(Plain(7), logits, 100));
  EXPECT_NE(Draw(Plain(7), logits, 100), Draw(Plain(8), logits, 100));
}

// The generator is part of the promise: these are floor(50 u) for the first outputs of xoshiro256**
// seeded with splitmix64(42), computed from the published definitions.
TEST(Sampler, DrawsFromXoshiro) {
  EXPECT_EQ(Draw(Plain(42), std::vector<float>(50, 0.0F), 8),
            (std::vector<TokenId>{4, 18, 34, 46, 49, 38, 35, 42}));
}

TEST(Sampler, FollowsTheProbabilities) {
  const std::vector<float> logits = {std::log(0.1F), std::log(0.2F), std::log(0.7F)};
  std::vector<int> counts(3);
  constexpr int kDraws = 30'000;
  for (const TokenId id : Draw(Plain(), logits, kDraws)) ++counts[static_cast<size_t>(id)];
  // Five standard deviations are about 0.013.
  EXPECT_NEAR(counts[0] / double{kDraws}, 0.1, 0.015);
  EXPECT_NEAR(counts[1] / double{kDraws}, 0.2, 0.015);
  EXPECT_NEAR(counts[2] / double{kDraws}, 0.7, 0.015);
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  const std::vector<float> logits = {0, 1};
  const auto share_of_best = [&](float temperature) {
    SamplerOptions options = Plain();
    options.temperature = temperature;
    int best = 0;
    for (const TokenId id : Draw(options, logits, 20'000)) best += id;
    return best / 20'000.0;
  };
  EXPECT_NEAR(share_of_best(0.25F), 1 / (1 + std::exp(-4.0)), 0.02);
  EXPECT_NEAR(share_of_best(4.0F), 1 / (1 + std::exp(-0.25)), 0.02);
  EXPECT_EQ(share_of_best(1e-30F), 1.0);
}

TEST(Sampler, TopKKeepsTheBestAndTheLowerIdOfEquals) {
  SamplerOptions options = Plain();
  options.top_k = 3;
  EXPECT_EQ(Seen(options, {1, 2, 2, 3, 2, 2}), (std::set<TokenId>{1, 2, 3}));
  options.top_k = 100;
  EXPECT_EQ(Seen(options, {1, 1, 1}), (std::set<TokenId>{0, 1, 2}));
}

TEST(Sampler, TopPKeepsTheShortestSufficientRow) {
  const std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.15F),
                                     std::log(0.05F)};
  SamplerOptions options = Plain();
  options.top_p = 0.75F;
  EXPECT_EQ(Seen(options, logits), (std::set<TokenId>{0, 1}));
  options.top_p = 0.85F;
  EXPECT_EQ(Seen(options, logits), (std::set<TokenId>{0, 1, 2}));
  options.top_p = 0;
  EXPECT_EQ(Seen(options, logits), (std::set<TokenId>{0}));
}

TEST(Sampler, MinPKeepsThoseNearTheBest) {
  const std::vector<float> logits = {std::log(0.05F), std::log(0.5F), std::log(0.3F),
                                     std::log(0.15F)};
  SamplerOptions options = Plain();
  options.min_p = 0.5F;
  EXPECT_EQ(Seen(options, logits), (std::set<TokenId>{1, 2}));
  options.min_p = 0.25F;
  EXPECT_EQ(Seen(options, logits), (std::set<TokenId>{1, 2, 3}));
}

TEST(Sampler, TopPSeesWhatTopKLeft) {
  SamplerOptions options = Plain();
  options.top_k = 2;
  options.top_p = 0.6F;  // of {0.5, 0.3} rescaled: 0.625 alone suffices
  EXPECT_EQ(Seen(options, {std::log(0.5F), std::log(0.3F), std::log(0.2F)}),
            (std::set<TokenId>{0}));
}

TEST(Sampler, PenaltyLowersDistinctRecentTokens) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  options.repeat_penalty = 2.0F;
  options.repeat_last_n = 2;
  Sampler sampler = Sampler::Create(options).value();
  const std::vector<float> logits = {4, 3, 1.5F, -1};
  EXPECT_EQ(sampler.Sample(logits), 0);
  sampler.Accept(0);
  sampler.Accept(0);  // counts once: 4/2 = 2 is still above 1.5
  EXPECT_EQ(sampler.Sample(logits), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{4, 1, 1.5F, -1}), 0);
  sampler.Accept(1);
  sampler.Accept(2);  // 0 has left the window
  EXPECT_EQ(sampler.Sample(logits), 0);
  sampler.Accept(99);  // not in these logits
  sampler.Accept(1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{-3, -2}), 0);  // -2 * 2 = -4
}

TEST(Sampler, BeginsAgainWithoutAPast) {
  Sampler sampler = Sampler::Create({.temperature = 0, .repeat_penalty = 2}).value();
  const std::vector<float> logits = {1.0F, 0.9F};
  sampler.Accept(0);
  EXPECT_EQ(sampler.Sample(logits), 1);
  sampler.Restart();
  EXPECT_EQ(sampler.Sample(logits), 0);
}

TEST(Sampler, WithoutAWindowThereIsNoPenalty) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  options.repeat_penalty = 9.0F;
  options.repeat_last_n = 0;
  Sampler sampler = Sampler::Create(options).value();
  sampler.Accept(0);
  EXPECT_EQ(sampler.Sample(std::vector<float>{2, 1}), 0);
}

TEST(Sampler, BiasesComeFirst) {
  SamplerOptions options = Plain();
  options.logit_bias = {{1, -kInf}, {2, 5.0F}, {99, 1.0F}};
  options.temperature = 0;
  EXPECT_EQ(Draw(options, {4, 9, 0, 4.5F}, 1), Ids{2});
  options.logit_bias = {{0, -kInf}, {1, -kInf}};
  Sampler sampler = Sampler::Create(options).value();
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 2}).error().code, ErrorCode::kBadData);
}

TEST(Sampler, StepsRunInTheirOrder) {
  // 0.5 0.3 0.2: top-p first keeps two (0.8 of all), of which top-k keeps the best; the other way
  // round top-k keeps {0.625 0.375} and top-p both.
  const std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.2F)};
  SamplerOptions options = Plain();
  options.top_k = 2;
  options.top_p = 0.7F;
  options.steps = {SamplerStep::kTopP, SamplerStep::kTopK};
  EXPECT_EQ(Seen(options, logits), (std::set<TokenId>{0, 1}));
  options.top_p = 0.4F;
  EXPECT_EQ(Seen(options, logits), (std::set<TokenId>{0}));
  options.top_k = 1;
  options.steps = {};  // none at all
  EXPECT_EQ(Seen(options, logits), (std::set<TokenId>{0, 1, 2}));
}

TEST(Sampler, GreedyHearsOfPenaltiesOnlyWhereTheyAreSteps) {
  SamplerOptions options = Plain();
  options.temperature = 0;
  options.presence_penalty = 3;
  Sampler with = Sampler::Create(options).value();
  options.steps = {SamplerStep::kTemperature};
  Sampler without = Sampler::Create(options).value();
  for (Sampler* sampler : {&with, &without}) sampler->Accept(0);
  EXPECT_EQ(with.Sample(std::vector<float>{4, 2}), 1);
  EXPECT_EQ(without.Sample(std::vector<float>{4, 2}), 0);
}

TEST(Sampler, MirostatHoldsTheSurprise) {
  // Zipf's law over 2000 tokens; the mean surprise of what is drawn comes near the target.
  std::vector<float> logits;
  for (int i = 0; i < 2000; ++i) logits.push_back(-1.1F * std::log(static_cast<float>(i + 1)));
  double total = 0;
  for (const float logit : logits) total += std::exp(double{logit});
  for (const int version : {1, 2}) {
    SamplerOptions options = Plain(5);
    options.mirostat = {version, 3.0F, 0.1F};
    Sampler sampler = Sampler::Create(options).value();
    double surprise = 0;
    constexpr int kDraws = 600;
    for (int i = 0; i < kDraws; ++i) {
      const auto id = static_cast<size_t>(sampler.Sample(logits).value());
      surprise += -std::log2(std::exp(double{logits[id]}) / total);
    }
    // Of the whole distribution, not of what is left: higher by what was cut away.
    EXPECT_GT(surprise / kDraws, 2.5) << version;
    EXPECT_LT(surprise / kDraws, 4.5) << version;
    EXPECT_EQ(Draw(options, {kNan, -kInf, 2}, 3), (Ids{2, 2, 2})) << version;
  }
}

TEST(Sampler, NeverDrawsTheImpossible) {
  EXPECT_EQ(Seen(Plain(), {kNan, 0, -kInf, 0}), (std::set<TokenId>{1, 3}));
  EXPECT_EQ(Seen(Plain(), {kInf, 0, 100}), (std::set<TokenId>{0}));
  SamplerOptions options = Plain();
  options.top_k = 3;
  EXPECT_EQ(Seen(options, {kNan, 0, -kInf, kNan}), (std::set<TokenId>{1}));
}

TEST(Sampler, NoNumberAtAllIsBadData) {
  for (const float temperature : {0.0F, 1.0F}) {
    SamplerOptions options = Plain();
    options.temperature = temperature;
    Sampler sampler = Sampler::Create(options).value();
    for (const auto& logits : {std::vector<float>{}, std::vector<float>{kNan, -kInf}}) {
      const auto id = sampler.Sample(logits);
      ASSERT_FALSE(id.has_value());
      EXPECT_EQ(id.error().code, ErrorCode::kBadData);
    }
  }
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  const auto code = [](auto change) {
    SamplerOptions options;
    change(options);
    const auto sampler = Sampler::Create(options);
    return sampler ? ErrorCode::kInternal : sampler.error().code;
  };
  EXPECT_EQ(code([](auto& o) { o.temperature = -1; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.temperature = kNan; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.temperature = kInf; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.top_p = -0.1F; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.top_p = kNan; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.min_p = 1.5F; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.min_p = kNan; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.repeat_penalty = 0; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.repeat_penalty = kNan; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.repeat_last_n = -2; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.dry.base = 0.5F; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.dry.last_n = -2; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.mirostat.version = 3; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.mirostat.target_surprise = kNan; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.xtc_probability = 1.5F; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.typical_p = kNan; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.top_n_sigma = kInf; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.dynatemp_range = -1; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.frequency_penalty = kNan; }), ErrorCode::kUsage);
  EXPECT_EQ(code([](auto& o) { o.logit_bias[3] = kNan; }), ErrorCode::kUsage);
  EXPECT_TRUE(Sampler::Create({}).has_value());
}

}  // namespace
}  // namespace llmrun
