// Plans of one arena a node: rows dealt out, or copies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/checked.h"
#include "base/units.h"
#include "loader/plan/layout.h"
#include "loader/plan/placement_plan.h"
#include "loader/plan/read_plan.h"
#include "tests/loader/plan_index.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr NumaPolicy kSharded{.mode = NumaMode::kShard};
constexpr NumaPolicy kMirrored{.mode = NumaMode::kMirror};

Machine MachineOf(const char* description) { return SyntheticMachine(description).value(); }

Machine TwoNodesOf(const char* memory) {
  return MachineOf(fmt::format("pack:2 [numa(memory={})] core:4 pu:1", memory).c_str());
}

PlacementPlan PlanOn(const Machine& machine, const TensorIndex& index, const NumaPolicy& numa) {
  return PlanPlacement(index, machine,
                       {.loader = LoaderKind::kIoUring, .hugepages = HugePages::kOff, .numa = numa},
                       {})
      .value();
}

// 100 rows of a cache line and a half; a vector; a matrix of too few rows to be dealt out.
TensorIndex SmallModel() {
  return MakeIndex({{20'000,
                     {{"blk.0.matrix", 4096, 9600, {24, 100}},
                      {"blk.0.vector", 13'696, 400, {100}},
                      {"blk.0.low", 14'096, 640, {10, 16}}}}});
}

TEST(ShardPlan, GoldenExample) {
  const TensorIndex index = SmallModel();
  const PlacementPlan plan = PlanOn(TwoNodesOf("1GB"), index, kSharded);
  EXPECT_FALSE(plan.mirrored);
  ASSERT_THAT(plan.arenas, SizeIs(2));
  EXPECT_THAT(plan.arenas[0].nodes, ElementsAre(0));
  EXPECT_THAT(plan.arenas[1].nodes, ElementsAre(1));
  // 100 rows are four units of 32: two for each.
  const auto matrix = PartsOf(plan, *index.Find("blk.0.matrix"));
  ASSERT_THAT(matrix, SizeIs(2));
  EXPECT_EQ(matrix[0].row_end, 64U);
  EXPECT_EQ(matrix[1].row_begin, 64U);
  EXPECT_EQ(matrix[1].row_end, 100U);
  EXPECT_EQ(matrix[1].extent.offset, 4096U + 64 * 96);
  EXPECT_EQ(matrix[1].extent.bytes, 36U * 96);
  EXPECT_EQ(plan.segments[matrix[0].segment].arena, 0U);
  EXPECT_EQ(plan.segments[matrix[1].segment].arena, 1U);
  EXPECT_EQ(ArenaOffset(plan, matrix[1]), (4096U + 64 * 96) % 4096);
  for (const char* whole : {"blk.0.vector", "blk.0.low"}) {
    const auto parts = PartsOf(plan, *index.Find(whole));
    ASSERT_THAT(parts, SizeIs(1)) << whole;
    EXPECT_EQ(plan.segments[parts[0].segment].arena, 0U) << whole;
  }
}

// The scale of an I2_S tensor stands behind its last row.
TEST(ShardPlan, WhatStandsBehindTheLastRowComesWithIt) {
  const TensorIndex index =
      MakeIndex({{40'000, {{"blk.0.ternary", 4096, 256 * 64 + 32, {256, 256}, DType::kI2_S}}}});
  const PlacementPlan plan = PlanOn(TwoNodesOf("1GB"), index, kSharded);
  const auto parts = PartsOf(plan, *index.Find("blk.0.ternary"));
  ASSERT_THAT(parts, SizeIs(2));
  EXPECT_EQ(parts[0].extent.bytes, 128U * 64);
  EXPECT_EQ(parts[1].extent.offset, 4096U + 128 * 64);
  EXPECT_EQ(parts[1].extent.bytes, 128U * 64 + 32);
}

TEST(ShardPlan, NodesGetRowsAsTheyHaveCores) {
  Machine machine = TwoNodesOf("1GB");
  std::erase_if(machine.cpus, [](const Cpu& cpu) { return cpu.node == 1 && cpu.os_index > 4; });
  const TensorIndex index = MakeIndex({{1 << 20, {{"blk.0.w", 0, 320 * 400, {100, 320}}}}});
  const auto plan = PlanOn(machine, index, kSharded);
  EXPECT_EQ(PartsOf(plan, TensorId{0})[0].row_end, 256U) << "four cores to one: 8 units of 10";
}

TEST(ShardPlan, ExpertsStayWhole) {
  const TensorIndex index = MakeIndex({{1 << 20, {{"blk.0.w", 0, 7 * 10 * 5 * 4, {7, 10, 5}}}}});
  const auto plan = PlanOn(TwoNodesOf("1GB"), index, kSharded);
  EXPECT_EQ(PartsOf(plan, TensorId{0})[0].row_end, 20U) << "two experts of ten rows, then three";
}

TEST(ShardPlan, BiasesOfExpertsAreOneArray) {
  const TensorIndex index =
      MakeIndex({{1 << 20, {{"blk.0.ffn_up_exps.bias", 0, 64 * 96 * 4, {96, 64}}}}});
  const auto plan = PlanOn(TwoNodesOf("1GB"), index, kSharded);
  EXPECT_THAT(PartsOf(plan, TensorId{0}), SizeIs(1));
}

TEST(ShardPlan, OneNodeIsOneArena) {
  const auto plan =
      PlanOn(MachineOf("pack:1 [numa(memory=1GB)] core:4 pu:1"), SmallModel(), kSharded);
  ASSERT_THAT(plan.arenas, SizeIs(1));
  EXPECT_THAT(plan.arenas[0].nodes, ElementsAre(0));
  EXPECT_THAT(plan.parts, SizeIs(3));
}

// Every row lies in one part, on the node that the plan says; no two parts share a block.
void CheckParts(const TensorIndex& index, const PlacementPlan& plan) {
  for (uint32_t t = 0; t < index.tensors().size(); ++t) {
    const IndexedTensor& tensor = index.at(TensorId{t});
    const uint64_t rows = tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
    const uint64_t unit = tensor.n_dims == 3 ? tensor.dims[1] : kShardRows;
    uint64_t next_row = 0;
    for (const TensorPart& part : PartsOf(plan, TensorId{t})) {
      ASSERT_EQ(part.tensor, TensorId{t});
      ASSERT_EQ(part.row_begin, next_row);
      ASSERT_EQ(part.row_begin % unit, 0U);
      next_row = part.row_end;
      ASSERT_EQ(part.extent.file, tensor.extent.file);
      ASSERT_EQ(part.extent.offset, tensor.extent.offset + part.row_begin * 4 * tensor.dims[0]);
      ASSERT_EQ(part.extent.bytes, (part.row_end - part.row_begin) * 4 * tensor.dims[0]);
      ASSERT_EQ(ArenaOffset(plan, part) % kImageAlignment, part.extent.offset % kImageAlignment);
    }
    ASSERT_EQ(next_row, rows);
  }
  std::map<uint32_t, std::map<uint64_t, uint64_t>> taken;  // by arena: first block -> behind
  for (const Segment& segment : plan.segments) {
    const uint64_t begin = AlignDown(segment.arena_offset, kImageAlignment);
    const uint64_t end = AlignUp(segment.arena_offset + segment.extent.bytes, kImageAlignment);
    ASSERT_LE(end, plan.arenas[segment.arena].bytes);
    ASSERT_TRUE(taken[segment.arena].emplace(begin, end).second);
  }
  for (const auto& [arena, blocks] : taken) {
    uint64_t last_end = 0;
    for (const auto& [begin, end] : blocks) {
      ASSERT_GE(begin, last_end);
      last_end = end;
    }
  }
}

// Every byte of a part comes to where it lies, by exactly one read.
void CheckReads(const TensorIndex& index, const PlacementPlan& plan, const BackendLimits& limits) {
  const ReadPlan reads = PlanReads(index, plan, limits);
  std::vector<uint64_t> covered(plan.parts.size());
  std::vector<std::set<GroupId>> groups(reads.reads.size());
  for (size_t i = 0; i < reads.reads.size(); ++i) {
    const PlannedRead& read = reads.reads[i];
    for (size_t p = 0; p < plan.parts.size(); ++p) {
      const TensorPart& part = plan.parts[p];
      const bool same_place =
          part.extent.file == read.file && plan.segments[part.segment].arena == read.arena &&
          ArenaOffset(plan, part) - part.extent.offset == read.arena_offset - read.file_offset;
      if (!same_place) continue;
      const uint64_t begin = std::max(read.file_offset, part.extent.offset);
      const uint64_t end =
          std::min(read.file_offset + read.must_bytes, part.extent.offset + part.extent.bytes);
      if (begin >= end) continue;
      covered[p] += end - begin;
      groups[i].insert(index.at(part.tensor).group);
    }
    ASSERT_EQ(reads.groups_of_read[i], std::vector<GroupId>(groups[i].begin(), groups[i].end()));
  }
  for (size_t p = 0; p < plan.parts.size(); ++p) ASSERT_EQ(covered[p], plan.parts[p].extent.bytes);
}

TEST(ShardPlan, PropertiesOfRandomModels) {
  const Machine machines[] = {TwoNodesOf("1GB"), MachineOf("pack:4 [numa(memory=1GB)] core:2 pu:2"),
                              MachineOf("pack:3 [numa(memory=1GB)] core:1 pu:1")};
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const TensorIndex index = RandomMatrices(seed);
    for (const Machine& machine : machines) {
      SCOPED_TRACE(testing::Message() << seed << " on " << machine.nodes.size());
      const PlacementPlan plan = PlanOn(machine, index, kSharded);
      CheckParts(index, plan);
      CheckReads(index, plan, {.offset_alignment = 4096, .max_request_bytes = 64 << 10});
      CheckReads(index, plan, {.offset_alignment = 512});
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(MirrorPlan, EveryNodeHasAllAndReadsGoToTheFirst) {
  const TensorIndex index = RandomMatrices(3);
  const Machine machine = MachineOf("pack:4 [numa(memory=1GB)] core:2 pu:2");
  const PlacementPlan mirror = PlanOn(machine, index, kMirrored);
  const PlacementPlan one = PlanOn(machine, index, BindTo(0));
  EXPECT_TRUE(mirror.mirrored);
  ASSERT_THAT(mirror.arenas, SizeIs(4));
  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_THAT(mirror.arenas[i].nodes, ElementsAre(i));
    EXPECT_EQ(mirror.arenas[i].bytes, one.arenas[0].bytes);
  }
  ASSERT_EQ(mirror.segments.size(), one.segments.size());
  for (const Segment& segment : mirror.segments) EXPECT_EQ(segment.arena, 0U);
  EXPECT_EQ(PlanReads(index, mirror, LoadLimits(4 << 20)).total_bytes,
            PlanReads(index, one, LoadLimits(4 << 20)).total_bytes);
}

TEST(MirrorPlan, WhatDoesNotFitIsRefusedWithWhatDoes) {
  const TensorIndex index = MakeIndex({{3 * kGiB, {{"blk.0.w", 0, 3 * kGiB, {1 << 20, 768}}}}});
  const LoadOptions options{.loader = LoaderKind::kIoUring, .numa = kMirrored};
  const auto refused = PlanPlacement(index, TwoNodesOf("2GB"), options, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResource);
  EXPECT_THAT(refused.error().message, HasSubstr("3.00 GiB of memory are needed, 1.77 GiB on "
                                                 "node 0 may be used"));
  EXPECT_THAT(refused.error().fix, HasSubstr("--numa=shard"));
  const auto sharded = PlanOn(TwoNodesOf("2GB"), index, kSharded);
  EXPECT_THAT(sharded.arenas, SizeIs(2));
  EXPECT_EQ(sharded.arenas[0].bytes, 3 * kGiB / 2);

  // Each copy fits into its node, both together not into what the process may have.
  Machine limited = TwoNodesOf("8GB");
  limited.available_bytes = 5 * kGiB;
  const auto beyond = PlanPlacement(index, limited, options, {});
  ASSERT_FALSE(beyond);
  EXPECT_THAT(beyond.error().message, HasSubstr("6.00 GiB of memory are needed, 4.75 GiB on "
                                                "nodes 0, 1 may be used"));
}

TEST(ShardPlan, EachNodeTakesHugePagesOfItsOwn) {
  Machine machine = TwoNodesOf("8GB");
  machine.nodes[0].pool_2m.free_pages = 1;
  machine.nodes[1].pool_2m.free_pages = 100;
  const TensorIndex index = MakeIndex({{16 << 20, {{"blk.0.w", 0, 16 << 20, {4096, 1024}}}}});
  const PlacementPlan plan =
      PlanPlacement(index, machine, {.loader = LoaderKind::kIoUring, .numa = kSharded}, {}).value();
  EXPECT_THAT(plan.arenas[0].tiles,
              ElementsAre(PageTile{PageKind::k2M, 2 * kMiB}, PageTile{PageKind::kThp, 6 * kMiB}));
  EXPECT_THAT(plan.arenas[1].tiles, ElementsAre(PageTile{PageKind::k2M, 8 * kMiB}));
}

TEST(ShardPlan, MappedFilesAreNotDealtOut) {
  const TensorIndex index = SmallModel();
  for (const NumaPolicy& numa : {kSharded, kMirrored}) {
    const PlacementPlan plan =
        PlanPlacement(index, TwoNodesOf("1GB"), {.loader = LoaderKind::kMmap, .numa = numa}, {})
            .value();
    EXPECT_TRUE(plan.mapped);
    EXPECT_FALSE(plan.mirrored);
    EXPECT_THAT(plan.arenas, IsEmpty());
    EXPECT_THAT(plan.parts, SizeIs(3));
    ASSERT_THAT(plan.fallbacks, SizeIs(1));
    EXPECT_EQ(plan.fallbacks[0].got, "page cache interleaved over the nodes");
  }
}

TEST(MirrorPlan, AutoTakesOneCopyWhereSeveralDoNotFitAndMapsWhereNoneDoes) {
  const TensorIndex index = MakeIndex({{3 * kGiB, {{"blk.0.w", 0, 3 * kGiB, {1 << 20, 768}}}}});
  const auto plan_on = [&](const char* memory) {
    return PlanPlacement(index, TwoNodesOf(memory), {.numa = kMirrored}, {}).value();
  };
  const PlacementPlan sharded = plan_on("2GB");
  EXPECT_EQ(sharded.loader, LoaderKind::kIoUring);
  EXPECT_FALSE(sharded.mirrored);
  EXPECT_THAT(sharded.arenas, SizeIs(2));
  EXPECT_THAT(sharded.parts, SizeIs(2));
  ASSERT_THAT(sharded.fallbacks, SizeIs(1));
  EXPECT_EQ(sharded.fallbacks[0].got, "one, whose rows are dealt out (--numa=shard)");
  const PlacementPlan mapped = plan_on("1GB");
  EXPECT_TRUE(mapped.mapped);
  EXPECT_FALSE(mapped.mirrored);
  EXPECT_THAT(mapped.parts, SizeIs(1));
  EXPECT_THAT(mapped.fallbacks, SizeIs(3)) << "no copies, no memory of its own, no nodes";
}

}  // namespace
}  // namespace llmrun
