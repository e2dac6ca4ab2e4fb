// Each step of the sampler by itself, against values computed by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "text/sampling/candidates.h"
#include "text/sampling/dry.h"
#include "text/sampling/mirostat.h"
#include "text/sampling/penalties.h"
#include "text/sampling/steps.h"
#include "text/sampling/temperature.h"
#include "text/sampling/truncation.h"

namespace llmrun {
namespace {

using TokenIds = std::vector<TokenId>;

Candidates OfLogits(const std::vector<float>& logits) {
  Candidates candidates;
  candidates.Fill(logits);
  return candidates;
}

Candidates OfProbabilities(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return OfLogits(logits);
}

TokenIds Left(Candidates& candidates) {
  TokenIds ids;
  for (const Candidate& c : candidates.Sorted()) ids.push_back(c.id);
  return ids;
}

float LogitOf(Candidates& candidates, TokenId id) {
  for (const Candidate& c : candidates.Possible()) {
    if (c.id == id) return c.logit;
  }
  return -std::numeric_limits<float>::infinity();
}

TEST(Truncation, Typical) {
  // The entropy is 1.2799; |-ln p - H| is 0.364 0.076 0.617 1.716.
  Candidates candidates = OfProbabilities({0.4, 0.3, 0.15, 0.05});  // times 1/0.9
  KeepTypical(0.3, &candidates);
  EXPECT_EQ(Left(candidates), TokenIds{1});
  candidates = OfProbabilities({0.4, 0.3, 0.15, 0.05});
  KeepTypical(0.5, &candidates);
  EXPECT_EQ(Left(candidates), (TokenIds{0, 1}));
  candidates = OfProbabilities({0.4, 0.3, 0.15, 0.05});
  KeepTypical(0.99, &candidates);
  EXPECT_EQ(Left(candidates), (TokenIds{0, 1, 2, 3}));
}

TEST(Truncation, TopNSigma) {
  // Mean 2, deviation sqrt(2): from 4 down to 4 - 1.414 n.
  const std::vector<float> logits = {0, 1, 2, 3, 4};
  const auto left = [&](double n) {
    Candidates candidates = OfLogits(logits);
    KeepTopNSigma(n, &candidates);
    return Left(candidates);
  };
  EXPECT_EQ(left(0.5), TokenIds{4});
  EXPECT_EQ(left(1), (TokenIds{4, 3}));
  EXPECT_EQ(left(2), (TokenIds{4, 3, 2}));
  EXPECT_EQ(left(-1).size(), 5U);
  EXPECT_EQ(left(0).size(), 5U);
}

TEST(Truncation, ExcludesTheLikelyButTheLeastOfThem) {
  Random random(1);
  Candidates candidates = OfProbabilities({0.1, 0.4, 0.3, 0.15, 0.05});
  ExcludeTopChoices(1, 0.12, &random, &candidates);
  EXPECT_EQ(Left(candidates), (TokenIds{3, 0, 4}));
  candidates = OfProbabilities({0.6, 0.4});
  ExcludeTopChoices(1, 0.45, &random, &candidates);  // one alone stays
  EXPECT_EQ(Left(candidates), (TokenIds{0, 1}));
  for (const auto& [probability, threshold] : {std::pair(0.0, 0.1), std::pair(1.0, 0.51)}) {
    candidates = OfProbabilities({0.5, 0.5});
    ExcludeTopChoices(probability, threshold, &random, &candidates);
    EXPECT_EQ(Left(candidates).size(), 2U);
  }
}

TEST(Truncation, ExcludesAsOftenAsItIsAsked) {
  Random random(3);
  int excluded = 0;
  for (int i = 0; i < 4000; ++i) {
    Candidates candidates = OfProbabilities({0.5, 0.3, 0.2});
    ExcludeTopChoices(0.25, 0.1, &random, &candidates);
    excluded += Left(candidates).size() == 1;
  }
  EXPECT_NEAR(excluded / 4000.0, 0.25, 0.035);  // five standard deviations
}

TEST(Truncation, NothingIsLeftOfNothing) {
  Random random(1);
  Candidates candidates = OfLogits({-std::numeric_limits<float>::infinity()});
  KeepTopK(1, &candidates);
  KeepTopP(0.1, &candidates);
  KeepMinP(0.1, &candidates);
  KeepTypical(0.1, &candidates);
  KeepTopNSigma(1, &candidates);
  ExcludeTopChoices(1, 0.1, &random, &candidates);
  ApplyTemperature({}, &candidates);
  EXPECT_EQ(Left(candidates), TokenIds{});
}

TEST(Temperature, FollowsTheEntropy) {
  // All alike: normalized entropy 1, temperature 0.8 + 0.5.
  Candidates candidates = OfLogits({2, 2});
  ApplyTemperature({.temperature = 0.8F, .range = 0.5F}, &candidates);
  EXPECT_NEAR(LogitOf(candidates, 0), 2 / 1.3, 1e-6);
  // p = 0.8 0.2: entropy 0.5004 of 0.6931, thus 0.7219; squared 0.5212; 0.3 + 0.5212 * 1.0.
  candidates = OfProbabilities({0.8, 0.2});
  ApplyTemperature({.temperature = 0.8F, .range = 0.5F, .exponent = 2}, &candidates);
  EXPECT_NEAR(LogitOf(candidates, 0), std::log(0.8) / 0.82119, 1e-4);
  // One is sure: temperature 0 keeps it.
  candidates = OfLogits({100, -100, 0});
  ApplyTemperature({.temperature = 0.5F, .range = 0.5F}, &candidates);
  EXPECT_EQ(Left(candidates).front(), 0);
}

TEST(Penalties, CountTokensInTheWindow) {
  Penalties penalties({.last_n = 3, .repeat = 2, .frequency = 0.5F, .presence = 0.25F});
  for (const TokenId id : {3, 0, 1, 0}) penalties.Accept(id);  // the 3 has left
  Candidates candidates = OfLogits({4, -1, 1, 2});
  penalties.Apply(&candidates);
  EXPECT_FLOAT_EQ(LogitOf(candidates, 0), 4 / 2.0F - 2 * 0.5F - 0.25F);
  EXPECT_FLOAT_EQ(LogitOf(candidates, 1), -1 * 2.0F - 0.5F - 0.25F);
  EXPECT_FLOAT_EQ(LogitOf(candidates, 2), 1);
  EXPECT_FLOAT_EQ(LogitOf(candidates, 3), 2);
  Penalties all({.last_n = -1, .presence = 1});
  for (TokenId id = 0; id < 1000; ++id) all.Accept(id % 7);
  candidates = OfLogits({4, 4, 4, 4, 4, 4, 4, 4});
  KeepTopK(8, &candidates);  // no longer in the order of the vocabulary
  all.Apply(&candidates);
  EXPECT_FLOAT_EQ(LogitOf(candidates, 6), 3);
  EXPECT_FLOAT_EQ(LogitOf(candidates, 7), 4);
}

std::string Letter(TokenId id) { return std::string(1, static_cast<char>('a' + id)); }

// What DRY takes off each of five tokens after a text of the letters a to e.
std::vector<float> Taken(const DryOptions& options, std::string_view text) {
  Dry dry(options, Letter);
  for (const char c : text) dry.Accept(c - 'a');
  Candidates candidates = OfLogits({0, 0, 0, 0, 0});
  dry.Apply(&candidates);
  std::vector<float> taken;
  for (TokenId id = 0; id < 5; ++id) taken.push_back(-LogitOf(candidates, id));
  return taken;
}

TEST(DrySampler, GrowsWithTheRepeatedRow) {
  const DryOptions options = {.multiplier = 1, .base = 2, .allowed_length = 2, .breakers = {}};
  // "ab" came before and a c followed: 2 ^ (2 - 2).
  EXPECT_EQ(Taken(options, "abcdab"), (std::vector<float>{0, 0, 1, 0, 0}));
  // "abc" came before, and a d followed: 2 ^ 1.
  EXPECT_EQ(Taken(options, "abcdabc"), (std::vector<float>{0, 0, 0, 2, 0}));
  // Followed by c once and by d once, after rows of three and of two.
  EXPECT_EQ(Taken(options, "eabcbabdeab"), (std::vector<float>{0, 0, 2, 1, 0}));
  EXPECT_EQ(Taken(options, "abcda"), (std::vector<float>{0, 0, 0, 0, 0}));
  EXPECT_EQ(Taken(options, ""), (std::vector<float>{0, 0, 0, 0, 0}));
}

TEST(DrySampler, LooksBackAsFarAsItMay) {
  DryOptions options = {.multiplier = 1, .base = 2, .allowed_length = 2, .breakers = {}};
  options.last_n = 5;  // "bcdab"
  EXPECT_EQ(Taken(options, "abcdab"), (std::vector<float>{0, 0, 0, 0, 0}));
  options.last_n = 6;
  EXPECT_EQ(Taken(options, "abcdab"), (std::vector<float>{0, 0, 1, 0, 0}));
  options.last_n = 0;
  EXPECT_EQ(Taken(options, "abcdab"), (std::vector<float>{0, 0, 0, 0, 0}));
}

TEST(DrySampler, BreakersEndRows) {
  DryOptions options = {.multiplier = 1, .base = 2, .allowed_length = 2, .breakers = {"b"}};
  EXPECT_EQ(Taken(options, "abcdeabcd"), (std::vector<float>{0, 0, 0, 0, 1}));  // "cd" of "abcd"
  EXPECT_EQ(Taken(options, "abcdeab"), (std::vector<float>{0, 0, 0, 0, 0}));
  options.breakers = {"bc"};                                                    // across two tokens
  EXPECT_EQ(Taken(options, "abcdeabcd"), (std::vector<float>{0, 0, 0, 0, 0}));  // "d" alone is left
  EXPECT_EQ(Taken(options, "abdab"), (std::vector<float>{0, 0, 0, 1, 0}));
}

// The rows by comparing everything with everything.
TEST(DrySampler, RowsAreThoseOfTheDefinition) {
  std::mt19937 random(11);  // NOLINT(cert-msc51-cpp): the same every time
  for (int round = 0; round < 300; ++round) {
    std::string text;
    const size_t length = random() % 40;
    while (text.size() < length) text += static_cast<char>('a' + random() % 3);
    std::vector<float> expected(5, 0);
    for (size_t i = 1; i < text.size(); ++i) {  // text[i] followed text[..i)
      size_t row = 0;
      while (row < i && text[i - 1 - row] == text[text.size() - 1 - row]) ++row;
      float& taken = expected[static_cast<size_t>(text[i] - 'a')];
      if (row >= 2) taken = std::max(taken, std::pow(1.5F, static_cast<float>(row - 2)));
    }
    const std::vector<float> taken =
        Taken({.multiplier = 1, .base = 1.5F, .allowed_length = 2, .breakers = {}}, text);
    for (size_t id = 0; id < 5; ++id)
      EXPECT_NEAR(taken[id] / (1 + expected[id]), expected[id] / (1 + expected[id]), 1e-5) << text;
  }
}

TEST(DrySampler, LongRowsForbidNothing) {
  const std::vector<float> taken = Taken({.multiplier = 5, .base = 4}, std::string(5000, 'a'));
  EXPECT_GT(taken[0], 1e20F);
  EXPECT_TRUE(std::isfinite(taken[0]));
}

TEST(MirostatStep, VersionTwoCutsBySurprise) {
  Mirostat mirostat({.version = 2, .target_surprise = 1.05F, .learning_rate = 0.5F});
  Candidates candidates = OfProbabilities({0.5, 0.25, 0.125, 0.125});
  mirostat.Truncate(4, &candidates);  // the limit is twice the target: 2.1 bits
  EXPECT_EQ(Left(candidates), (TokenIds{0, 1}));
  mirostat.Drew(0.25);  // 0.95 bits too many: the limit falls to 1.625
  candidates = OfProbabilities({0.5, 0.25, 0.125, 0.125});
  mirostat.Truncate(4, &candidates);
  EXPECT_EQ(Left(candidates), TokenIds{0});
}

TEST(MirostatStep, VersionOneCountsByZipfsLaw) {
  // p(i) ~ 1/i^2: the slope is 2, epsilon 1; k = sqrt(1 * 2^6 / (1 - 1/1000)) = 8.004.
  std::vector<double> zipf;
  for (int i = 1; i <= 1000; ++i) zipf.push_back(1.0 / i / i);
  Candidates candidates = OfProbabilities(zipf);
  Mirostat mirostat({.version = 1, .target_surprise = 3});
  mirostat.Truncate(1000, &candidates);
  EXPECT_EQ(Left(candidates).size(), 8U);
}

TEST(SamplerSteps, NamesAndLetters) {
  EXPECT_EQ(SamplerNames(DefaultSamplerSteps()),
            "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature");
  EXPECT_EQ(ParseSamplerNames(SamplerNames(DefaultSamplerSteps())).value(), DefaultSamplerSteps());
  EXPECT_EQ(ParseSamplerLetters("edskypmxt").value(), DefaultSamplerSteps());
  const std::vector<SamplerStep> three = {SamplerStep::kTopP, SamplerStep::kTypical,
                                          SamplerStep::kTemperature};
  EXPECT_EQ(ParseSamplerNames("top-p;typical;temp").value(), three);
  EXPECT_EQ(ParseSamplerNames("nucleus;typ_p;;temperature;").value(), three);
  EXPECT_EQ(ParseSamplerNames("").value(), std::vector<SamplerStep>{});
  EXPECT_EQ(ParseSamplerNames("top_q").error().code, ErrorCode::kUsage);
  EXPECT_EQ(ParseSamplerLetters("kq").error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace llmrun
