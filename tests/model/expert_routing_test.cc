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
  ChooseExperts(logits, chosen);
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
