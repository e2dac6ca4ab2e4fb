#include "model/expert_routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace llmrun {
namespace {

using ::testing::ElementsAre;

std::vector<ExpertChoice> Choose(const std::vector<float>& logits, size_t n_used) {
  std::vector<ExpertChoice> chosen(n_used);
  ChooseExperts({}, logits, nullptr, chosen);
  return chosen;
}

std::vector<int32_t> ExpertsOf(const std::vector<ExpertChoice>& choices) {
  std::vector<int32_t> experts;
  experts.reserve(choices.size());
  for (const ExpertChoice& choice : choices) experts.push_back(choice.expert);
  return experts;
}

TEST(ChooseExperts, TakesTheLargestFirst) {
  EXPECT_THAT(ExpertsOf(Choose({0.5F, -1, 3, 2.5F, 0}, 3)), ElementsAre(2, 3, 0));
  EXPECT_THAT(ExpertsOf(Choose({-3, -1, -2}, 3)), ElementsAre(1, 2, 0));
}

TEST(ChooseExperts, OfEqualOnesTheFirst) {
  EXPECT_THAT(ExpertsOf(Choose({1, 2, 1, 2, 2, 1}, 4)), ElementsAre(1, 3, 4, 0));
  EXPECT_THAT(ExpertsOf(Choose({0, 0, 0}, 2)), ElementsAre(0, 1));
  EXPECT_THAT(ExpertsOf(Choose({-0.0F, 0.0F}, 1)), ElementsAre(0));
}

TEST(ChooseExperts, WeightsAreTheSoftmaxRenormalized) {
  const std::vector<float> logits = {0.5F, -1, 3, 2.5F, 0};
  double all = 0;
  for (const float logit : logits) all += std::exp(static_cast<double>(logit));
  for (const size_t n_used : {1U, 2U, 5U}) {
    const std::vector<ExpertChoice> chosen = Choose(logits, n_used);
    double chosen_share = 0;
    for (const ExpertChoice& choice : chosen) {
      chosen_share +=
          std::exp(static_cast<double>(logits[static_cast<size_t>(choice.expert)])) / all;
    }
    double sum = 0;
    for (const ExpertChoice& choice : chosen) {
      const double logit = logits[static_cast<size_t>(choice.expert)];
      EXPECT_NEAR(choice.weight, std::exp(logit) / all / chosen_share, 1e-7);
      sum += static_cast<double>(choice.weight);
    }
    EXPECT_NEAR(sum, 1, 1e-6);
  }
}

TEST(ChooseExperts, LargeLogitsDoNotOverflow) {
  const std::vector<ExpertChoice> chosen = Choose({-3e38F, 3e38F, 2.9e38F}, 2);
  EXPECT_THAT(ExpertsOf(chosen), ElementsAre(1, 2));
  EXPECT_EQ(chosen[0].weight, 1);
  EXPECT_EQ(chosen[1].weight, 0);
}

// Damaged weights give any logits; the experts must be there all the same.
TEST(ChooseExperts, AreDistinctWhateverTheLogits) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(ExpertsOf(Choose({kNan, kNan, kNan}, 2)), ElementsAre(0, 1));
  EXPECT_THAT(ExpertsOf(Choose({-kInf, -kInf, -kInf}, 3)), ElementsAre(0, 1, 2));
  EXPECT_THAT(ExpertsOf(Choose({1, kNan, kInf}, 3)), ElementsAre(2, 0, 1));
}

std::vector<ExpertChoice> ChooseBy(const ExpertRouter& router, const std::vector<float>& logits,
                                   const std::vector<float>& bias, size_t n_used) {
  std::vector<ExpertChoice> chosen(n_used);
  ChooseExperts(router, logits, bias.empty() ? nullptr : bias.data(), chosen);
  return chosen;
}

TEST(ChooseExperts, WeightsMayBeTheSoftmaxOfAll) {
  const std::vector<float> logits = {0.5F, -1, 3, 2.5F, 0};
  double all = 0;
  for (const float logit : logits) all += std::exp(double{logit});
  const auto chosen = ChooseBy({.renormalizes = false, .scale = 16}, logits, {}, 2);
  EXPECT_THAT(ExpertsOf(chosen), ElementsAre(2, 3));
  EXPECT_NEAR(chosen[0].weight, 16 * std::exp(3) / all, 1e-5);
  EXPECT_NEAR(chosen[1].weight, 16 * std::exp(2.5) / all, 1e-5);
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(ChooseExperts, ABiasChoosesButDoesNotWeigh) {
  const std::vector<float> logits = {2, 1, 0, -1};
  const std::vector<float> bias = {0, 0, 0, 0.7F};  // -1 + 0.7 becomes the second
  for (const bool renormalizes : {false, true}) {
    const auto chosen =
        ChooseBy({.sigmoid = true, .renormalizes = renormalizes, .scale = 2.5}, logits, bias, 2);
    EXPECT_THAT(ExpertsOf(chosen), ElementsAre(3, 0));
    const double sum = renormalizes ? Sigmoid(2) + Sigmoid(-1) : 1;
    EXPECT_NEAR(chosen[0].weight, 2.5 * Sigmoid(-1) / sum, 1e-6);
    EXPECT_NEAR(chosen[1].weight, 2.5 * Sigmoid(2) / sum, 1e-6);
  }
  // Of a softmax, whose scores are 0.64, 0.24, 0.09 and 0.03.
  EXPECT_THAT(ExpertsOf(ChooseBy({}, logits, {0, 0, 0, 0.5F}, 2)), ElementsAre(0, 3));
}

TEST(ChooseExperts, SigmoidsThatVanishGiveNumbers) {
  const auto chosen = ChooseBy({.sigmoid = true}, {-3e38F, -3e38F}, {}, 1);
  EXPECT_THAT(ExpertsOf(chosen), ElementsAre(0));
  EXPECT_EQ(chosen[0].weight, 0);
}

// Groups of two: the best of all is alone in a group that is not used.
TEST(ChooseExperts, OnlyFromTheBestGroups) {
  const std::vector<float> logits = {3, -9, 2, 2.5F, 1, 1.5F};
  const std::vector<float> zeros(6);
  const auto of_groups = [&](int64_t n_used, bool bias) {
    const ExpertRouter router{.sigmoid = true, .n_groups = 3, .n_groups_used = n_used};
    return ExpertsOf(ChooseBy(router, logits, bias ? zeros : std::vector<float>(), 2));
  };
  EXPECT_THAT(of_groups(3, true), ElementsAre(0, 3));
  EXPECT_THAT(of_groups(2, true), ElementsAre(3, 2)) << "by their two best";
  EXPECT_THAT(of_groups(1, true), ElementsAre(3, 2));
  EXPECT_THAT(of_groups(2, false), ElementsAre(0, 3)) << "by their best";
  EXPECT_THAT(of_groups(1, false), ElementsAre(0, 1));
}

// Damaged weights give any logits, and biases.
TEST(ChooseExperts, OfGroupsAreDistinctWhateverTheLogits) {
  const float values[] = {NAN, INFINITY, -INFINITY, 1, -1};
  std::mt19937 random(37);
  for (int round = 0; round < 500; ++round) {
    std::vector<float> logits(8);
    std::vector<float> bias(8);
    for (float& x : logits) x = values[random() % 5];
    for (float& x : bias) x = values[random() % 5];
    const ExpertRouter router{.sigmoid = round % 2 == 0, .n_groups = 4, .n_groups_used = 2};
    std::vector<int32_t> experts = ExpertsOf(ChooseBy(router, logits, bias, 4));
    std::ranges::sort(experts);
    EXPECT_EQ(std::ranges::adjacent_find(experts), experts.end());
    EXPECT_GE(experts.front(), 0);
    EXPECT_LT(experts.back(), 8);
  }
}

struct Sorted {
  std::vector<int64_t> first;
  std::vector<int64_t> token;
  std::vector<int64_t> of_choice;

  Sorted(const std::vector<ExpertChoice>& choices, int64_t n_used, int64_t n_experts)
      : first(static_cast<size_t>(n_experts + 1), -1),
        token(choices.size(), -1),
        of_choice(choices.size(), -1) {
    SortByExpert(choices, n_used, n_experts, {first.data(), token.data(), of_choice.data()});
  }
};

TEST(SortByExpert, PutsTheTokensOfAnExpertSideBySide) {
  // Three tokens, two experts each of four.
  const Sorted sorted({{3, 1}, {0, 1}, {0, 1}, {2, 1}, {3, 1}, {2, 1}}, 2, 4);
  EXPECT_THAT(sorted.first, ElementsAre(0, 2, 2, 4, 6));
  EXPECT_THAT(sorted.token, ElementsAre(0, 1, 1, 2, 0, 2));
  EXPECT_THAT(sorted.of_choice, ElementsAre(4, 0, 1, 2, 5, 3));
}

// However the line is cut, each panel of each expert that has rows comes once.
TEST(ForEachExpert, CoversEveryPanelOnce) {
  std::mt19937 random(31);
  for (int round = 0; round < 200; ++round) {
    const int64_t n_experts = 1 + random() % 9;
    const int64_t panels = 1 + random() % 12;
    std::vector<int64_t> first = {0};
    for (int64_t e = 0; e < n_experts; ++e) {
      first.push_back(first.back() + (random() % 3 == 0 ? 0 : random() % 20));
    }
    std::vector<int> times(static_cast<size_t>(n_experts * panels));
    const int64_t units = first.back() * panels;
    for (int64_t begin = 0; begin < units;) {
      const int64_t end = std::min<int64_t>(units, begin + 1 + random() % 40);
      ForEachExpert(first.data(), n_experts, panels, {begin, end}, [&](int64_t e, Range some) {
        ASSERT_GE(some.begin, 0);
        ASSERT_LE(some.end, panels);
        for (int64_t p = some.begin; p < some.end; ++p) {
          const int64_t begins =
              first[static_cast<size_t>(e)] * panels +
              p * (first[static_cast<size_t>(e) + 1] - first[static_cast<size_t>(e)]);
          EXPECT_GE(begins, begin);
          EXPECT_LT(begins, end);
          ++times[static_cast<size_t>(e * panels + p)];
        }
      });
      begin = end;
    }
    for (int64_t e = 0; e < n_experts; ++e) {
      const bool any = first[static_cast<size_t>(e) + 1] > first[static_cast<size_t>(e)];
      for (int64_t p = 0; p < panels; ++p) {
        EXPECT_EQ(times[static_cast<size_t>(e * panels + p)], any ? 1 : 0);
      }
    }
  }
}

}  // namespace
}  // namespace llmrun
