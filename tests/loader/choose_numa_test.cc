// What --numa=auto comes to.
#include "loader/plan/choose_numa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/units.h"
#include "loader/plan/placement_plan.h"
#include "tests/loader/plan_index.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Machine Sockets(int nodes, double own_gb_per_s = 0, double far_gb_per_s = 0) {
  Machine machine =
      SyntheticMachine(fmt::format("pack:{} [numa(memory=64GB)] core:8 pu:2", nodes)).value();
  if (own_gb_per_s == 0) return machine;
  for (size_t i = 0; i < machine.nodes.size(); ++i) {
    machine.nodes[i].read_bytes_per_s.assign(machine.nodes.size(), far_gb_per_s * 1e9);
    machine.nodes[i].read_bytes_per_s[i] = own_gb_per_s * 1e9;
  }
  return machine;
}

TEST(ChooseNuma, OneNodeLeavesNothingToChoose) {
  const NumaChoice choice = ChooseNuma(Sockets(1), 8 * kGiB, 32);
  EXPECT_EQ(NameOf(choice.policy), "off");
  EXPECT_THAT(choice.rule, IsEmpty());
}

TEST(ChooseNuma, LargeModelsAreSharded) {
  const NumaChoice choice = ChooseNuma(Sockets(2, 200, 90), 8 * kGiB, 32);
  EXPECT_EQ(NameOf(choice.policy), "shard");
  // 8 GiB / 200 GB/s; half of that and 32 layers of 5 barriers of 3 us.
  EXPECT_EQ(choice.rule,
            "2 nodes that read 200.0, 200.0 GB/s of their own; all weights are read in 42.95 ms by "
            "node 0, in 21.95 ms by all with their barriers");
}

TEST(ChooseNuma, SmallModelsStayOnTheFasterNode) {
  Machine machine = Sockets(2, 200, 90);
  machine.nodes[1].read_bytes_per_s[1] = 210e9;
  const NumaChoice choice = ChooseNuma(machine, 20 * kMiB, 22);
  EXPECT_EQ(NameOf(choice.policy), "bind:1");
  EXPECT_THAT(choice.rule, HasSubstr("by node 1"));
}

TEST(ChooseNuma, WhatWasNotMeasuredIsTakenAsEqual) {
  const NumaChoice choice = ChooseNuma(Sockets(4), 8 * kGiB, 32);
  EXPECT_EQ(NameOf(choice.policy), "shard");
  EXPECT_THAT(choice.rule, HasSubstr("4 nodes taken as 100 GB/s each"));
  Machine half = Sockets(2, 200, 90);
  half.nodes[1].read_bytes_per_s.clear();
  EXPECT_THAT(ChooseNuma(half, 8 * kGiB, 32).rule, HasSubstr("taken as 100 GB/s each"));
}

// A slow node beside a fast one: its share would take longer than all of it takes the fast one.
TEST(ChooseNuma, ASlowNodeIsLeftOut) {
  Machine machine = Sockets(2, 200, 50);
  machine.nodes[1].read_bytes_per_s[1] = 60e9;
  EXPECT_EQ(NameOf(ChooseNuma(machine, 8 * kGiB, 32).policy), "bind:0");
  // Where it fits: 60.8 GiB of the node's 64 may be used, less than the GB that hwloc was told.
  const NumaChoice large = ChooseNuma(machine, 70 * kGiB, 32);
  EXPECT_EQ(NameOf(large.policy), "shard");
  EXPECT_THAT(large.rule, HasSubstr("the weights fit on none of them alone"));
}

TEST(ChooseNuma, ThePlanSaysWhatItCameTo) {
  PlanFile file{.file_bytes = 0, .tensors = {}};
  for (int layer = 0; layer < 4; ++layer) {
    file.tensors.push_back(
        {fmt::format("blk.{}.w", layer), file.file_bytes, 256 * kMiB, {4096, 16384}});
    file.file_bytes += 256 * kMiB;
  }
  const TensorIndex index = MakeIndex({file});
  const LoadOptions options{.loader = LoaderKind::kIoUring, .numa = {.mode = NumaMode::kAuto}};
  const PlacementPlan plan = PlanPlacement(index, Sockets(2), options, {}).value();
  EXPECT_EQ(NameOf(plan.numa), "shard");
  EXPECT_THAT(plan.arenas, SizeIs(2));
  EXPECT_THAT(plan.numa_rule, HasSubstr("2 nodes"));
  EXPECT_THAT(plan.fallbacks, IsEmpty());

  LoadOptions mapped = options;
  mapped.loader = LoaderKind::kMmap;
  const PlacementPlan map = PlanPlacement(index, Sockets(2), mapped, {}).value();
  EXPECT_EQ(NameOf(map.numa), "off");
  EXPECT_THAT(map.numa_rule, IsEmpty());
  EXPECT_THAT(map.fallbacks, IsEmpty()) << "nobody asked for nodes";

  const PlacementPlan one = PlanPlacement(index, Sockets(1), options, {}).value();
  EXPECT_EQ(NameOf(one.numa), "off");
  EXPECT_THAT(one.nodes, IsEmpty());
}

}  // namespace
}  // namespace llmrun
