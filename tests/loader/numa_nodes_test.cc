// What the NUMA policies mean on machines of several kinds.
#include "loader/plan/numa_nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/units.h"
#include "loader/plan/placement_plan.h"
#include "tests/loader/plan_index.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr NumaPolicy kInterleaved{.mode = NumaMode::kInterleave};

Machine Described(const char* description) {
  const Result<Machine> machine = SyntheticMachine(description);
  EXPECT_TRUE(machine) << machine.error().OneLine();
  return *machine;
}

Machine TwoNodes() { return Described("pack:2 [numa(memory=8GB)] core:4 pu:1"); }

TEST(NodesFor, OffIsNoNode) { EXPECT_THAT(NodesFor({}, TwoNodes()).value(), IsEmpty()); }

TEST(NodesFor, InterleaveTakesEveryNodeWithCpus) {
  EXPECT_THAT(NodesFor(kInterleaved, TwoNodes()).value(), ElementsAre(0, 1));
  EXPECT_THAT(NodesFor(kInterleaved, Described("numa:8 core:2 pu:1")).value(),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(NodesFor(kInterleaved, Described("core:2 pu:1")).value(), ElementsAre(0));
}

TEST(NodesFor, InterleaveLeavesOutMemoryWithoutCpusAndCpusWithoutMemory) {
  Machine machine = TwoNodes();
  machine.nodes.push_back({.os_index = 2, .kind = "HBM", .total_bytes = kGiB});
  EXPECT_THAT(NodesFor(kInterleaved, machine).value(), ElementsAre(0, 1));
  EXPECT_THAT(NodesFor(BindTo(2), machine).value(), ElementsAre(2)) << "but it can be asked for";
  machine.nodes[0].total_bytes = 0;
  EXPECT_THAT(NodesFor(kInterleaved, machine).value(), ElementsAre(1));
  EXPECT_EQ(NodesFor(BindTo(3), machine).error().message,
            "--numa=bind:3: no such node; this machine has: 0, 1, 2");
}

TEST(NodesFor, EqualPartsAreAsManyAsTheLeastNodeGives) {
  Machine machine = TwoNodes();
  machine.nodes[0].pool_2m.free_pages = 10;
  machine.nodes[1].pool_2m.free_pages = 3;
  EXPECT_EQ(FreeHugePages(machine, {}, PageKind::k2M), 13U);
  EXPECT_EQ(FreeHugePages(machine, {0}, PageKind::k2M), 10U);
  EXPECT_EQ(FreeHugePages(machine, {0, 1}, PageKind::k2M), 6U);
  EXPECT_EQ(FreeHugePages(machine, {0, 1}, PageKind::k1G), 0U);
}

TEST(NodesFor, TheLimitIsThatOfTheNodesTogether) {
  Machine machine = TwoNodes();
  machine.available_bytes = 100 * kGiB;
  machine.nodes[0].free_bytes = 10 * kGiB;
  machine.nodes[1].free_bytes = 30 * kGiB;
  EXPECT_EQ(MemoryLimit(machine, {}), 95 * kGiB);
  EXPECT_EQ(MemoryLimit(machine, {1}), 30 * kGiB - 30 * kGiB / 20);
  EXPECT_EQ(MemoryLimit(machine, {0, 1}), 38 * kGiB);
}

TEST(NodesFor, ThePlanInterleavesOneArena) {
  const TensorIndex index = MakeIndex({{64 * kMiB, {{"blk.0.w.weight", 0, 40 * kMiB}}}});
  Machine machine = TwoNodes();
  for (NumaNode& node : machine.nodes) node.pool_2m = {10, 10};
  const auto plan = PlanPlacement(
      index, machine,
      {.loader = LoaderKind::kRead, .hugepages = HugePages::kAuto, .numa = kInterleaved}, {});
  ASSERT_TRUE(plan) << plan.error().OneLine();
  ASSERT_EQ(plan->arenas.size(), 1U);
  EXPECT_THAT(plan->arenas[0].nodes, ElementsAre(0, 1));
  EXPECT_THAT(plan->arenas[0].tiles, ElementsAre(PageTile{PageKind::k2M, 40 * kMiB}));
  const auto mapped =
      PlanPlacement(index, machine, {.loader = LoaderKind::kMmap, .numa = kInterleaved}, {});
  ASSERT_TRUE(mapped);
  EXPECT_THAT(mapped->nodes, ElementsAre(0, 1)) << "where pages that are not cached yet go";
  EXPECT_THAT(mapped->fallbacks, IsEmpty()) << "what is cached elsewhere is seen after the load";
}

}  // namespace
}  // namespace llmrun
