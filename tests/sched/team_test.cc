#include "sched/team.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <vector>

namespace llmrun {
namespace {

using testing::ElementsAre;

using Nodes = std::vector<std::optional<unsigned>>;

Nodes OnNodes(int nodes, int each) {
  Nodes all;
  for (int i = 0; i < nodes * each; ++i) all.push_back(static_cast<unsigned>(i / each));
  return all;
}
std::vector<double> AllWork(const Nodes& nodes) { return std::vector<double>(nodes.size(), 1.0); }

TEST(Team, DealsByWeight) {
  const Team team(Nodes(4), {1, 0, 0.5, 0.5});
  EXPECT_EQ(team.size(), 3);
  const StepPlan plan = team.Deal(3, 64, 8);
  EXPECT_THAT(plan.homes, ElementsAre(Range{0, 32}, Range{0, 0}, Range{32, 48}, Range{48, 64}));
  EXPECT_EQ(plan.zone, 3);
  EXPECT_THAT(plan.group_units, ElementsAre(64U));
}

TEST(Team, GroupsAreNeighboursOfOneNode) {
  const Nodes nodes = OnNodes(2, 12);
  const Team team(nodes, AllWork(nodes));
  ASSERT_EQ(team.n_groups(), 4);
  for (int i = 0; i < 24; ++i) EXPECT_EQ(team.group(i), i / 6) << i;
}

TEST(Team, WorkOnNodesIsForThoseWhoWorkThere) {
  const Nodes nodes = {0U, 1U, 1U, 0U};
  const Team team(nodes, AllWork(nodes));
  const std::vector<Team::Share> shares = {{.size = 10, .node = 0U}, {.size = 30, .node = 1U}};
  const StepPlan plan = team.DealByNode(0, shares, 1);
  EXPECT_THAT(plan.homes, ElementsAre(Range{0, 5}, Range{10, 25}, Range{25, 40}, Range{5, 10}));
  EXPECT_THAT(plan.group_units, ElementsAre(10U, 30U));
  // When nobody works on one of them, everybody works on all.
  const Team half(nodes, {1, 0, 0, 1});
  EXPECT_THAT(half.DealByNode(0, shares, 1).homes,
              ElementsAre(Range{0, 20}, Range{0, 0}, Range{0, 0}, Range{20, 40}));
}

TEST(Team, ASingleUnitIsForTheLastWhoWorks) {
  const Team team(Nodes(4), {1, 1, 1, 0});
  EXPECT_EQ(team.Single(2).homes[2], (Range{0, 1}));
  EXPECT_EQ(team.Single(2).total, 1);
}

TEST(Team, NearestAreHelpedFirstAndNotAllOfMany) {
  const Nodes nodes = OnNodes(2, 20);
  const Team team(nodes, AllWork(nodes));
  const auto helped = team.helped_by(18);
  ASSERT_EQ(helped.size(), 12U);
  EXPECT_THAT(std::vector<int>(helped.begin(), helped.end()),
              ElementsAre(19, 0, 1, 2, 3, 4, 5, 6, 20, 21, 22, 23));
}

// Whatever the team, all work is dealt out once, in whole grains.
TEST(Team, EverythingIsDealtOutOnce) {
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    const int members = 1 + static_cast<int>(random() % 40);
    Nodes nodes;
    std::vector<double> weights;
    for (int i = 0; i < members; ++i) {
      nodes.push_back(static_cast<unsigned>(random() % 3));
      weights.push_back(random() % 4 == 0 ? 0 : 0.25 * static_cast<double>(1 + random() % 4));
    }
    weights[random() % weights.size()] = 1;
    const Team team(nodes, weights);
    const auto grain = static_cast<int64_t>(1 + random() % 16);
    std::vector<Team::Share> shares;
    for (unsigned node = 0; node < 3; ++node) {
      shares.push_back({.size = static_cast<int64_t>(random() % 200), .node = node});
    }
    const StepPlan plan = team.DealByNode(0, shares, grain);
    std::vector<int> seen(static_cast<size_t>(plan.total));
    uint64_t units = 0;
    for (int i = 0; i < members; ++i) {
      const Range home = plan.homes[static_cast<size_t>(i)];
      EXPECT_TRUE(home.empty() || team.works(i));
      for (int64_t at = home.begin; at < home.end; ++at) ++seen[static_cast<size_t>(at)];
    }
    EXPECT_THAT(seen, testing::Each(1));
    for (const uint64_t group : plan.group_units) units += group;
    EXPECT_EQ(units, static_cast<uint64_t>(plan.total));
  }
}

}  // namespace
}  // namespace llmrun
