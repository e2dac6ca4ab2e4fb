#include "loader/plan/placement_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/checked.h"
#include "tests/loader/plan_index.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

PlacementPlan Plan(const TensorIndex& index, const LoadOptions& options,
                   const Machine& machine = PlanMachine(kGiB)) {
  return PlanPlacement(index, machine, options, {}).value();
}

TEST(PlanPlacement, GoldenExample) {
  const TensorIndex index = MakeIndex({{300'000,
                                        {{"token_embd.weight", 4000, 1000},
                                         {"blk.0.w", 5024, 5000},
                                         {"output.weight", 10'024 + 65'536, 100}}},
                                       {20'000, {{"blk.1.w", 4096, 4096}}}});
  const PlacementPlan plan = Plan(index, {.loader = LoaderKind::kRead});
  EXPECT_FALSE(plan.mapped);
  ASSERT_EQ(plan.segments.size(), 3U);
  // Tensors with 24 bytes between them are one segment, 64 KiB make two.
  EXPECT_EQ(plan.segments[0].extent.offset, 4000U);
  EXPECT_EQ(plan.segments[0].extent.bytes, 6024U);
  EXPECT_EQ(plan.segments[0].arena_offset, 4000U);  // file blocks 0..2
  EXPECT_EQ(plan.segments[1].extent.offset, 75'560U);
  EXPECT_EQ(plan.segments[1].arena_offset, 3 * 4096U + 75'560 % 4096);
  EXPECT_EQ(plan.segments[2].extent.file, 1U);
  EXPECT_EQ(plan.segments[2].arena_offset, 4 * 4096U);
  ASSERT_EQ(plan.arenas.size(), 1U);
  EXPECT_EQ(plan.arenas[0].bytes, 5 * 4096U);
  EXPECT_EQ(ArenaOffset(plan, plan.parts[1]), 5024U);
  EXPECT_EQ(ArenaOffset(plan, plan.parts[3]), 4 * 4096U);
}

// What O_DIRECT into the final place rests on, for any layout of tensors.
TEST(PlanPlacement, PropertiesOfRandomLayouts) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const TensorIndex index = RandomIndex(seed);
    const PlacementPlan plan = Plan(index, {.loader = LoaderKind::kIoUring});
    ASSERT_EQ(plan.tensors.size(), index.tensors().size());
    std::map<uint64_t, uint64_t> taken;  // begin -> end of each segment's blocks in the arena
    for (const Segment& segment : plan.segments) {
      ASSERT_EQ(segment.arena_offset % kImageAlignment, segment.extent.offset % kImageAlignment);
      const uint64_t begin = AlignDown(segment.arena_offset, kImageAlignment);
      const uint64_t end = AlignUp(segment.arena_offset + segment.extent.bytes, kImageAlignment);
      ASSERT_LE(end, plan.arenas[segment.arena].bytes);
      ASSERT_TRUE(taken.emplace(begin, end).second) << "seed " << seed;
    }
    uint64_t last_end = 0;
    for (const auto& [begin, end] : taken) {
      ASSERT_GE(begin, last_end) << "seed " << seed;
      last_end = end;
    }
    for (uint32_t i = 0; i < plan.tensors.size(); ++i) {
      const FileExtent& tensor = index.at(TensorId{i}).extent;
      ASSERT_EQ(plan.tensors[i].count, 1U);
      const TensorPart& part = PartsOf(plan, TensorId{i}).front();
      const FileExtent& segment = plan.segments[part.segment].extent;
      ASSERT_EQ(part.tensor, TensorId{i});
      ASSERT_EQ(tensor.file, segment.file);
      ASSERT_GE(tensor.offset, segment.offset);
      ASSERT_LE(tensor.offset + tensor.bytes, segment.offset + segment.bytes);
    }
    for (size_t s = 1; s < plan.segments.size(); ++s) {
      const FileExtent& before = plan.segments[s - 1].extent;
      const FileExtent& after = plan.segments[s].extent;
      ASSERT_TRUE(before.file < after.file ||
                  before.offset + before.bytes + kMaxSegmentGapBytes <= after.offset);
    }
  }
}

TensorIndex OneTensor(uint64_t bytes) { return MakeIndex({{bytes, {{"blk.0.w", 0, bytes}}}}); }

TEST(PlanPlacement, AutoKnowsThePageCache) {
  const TensorIndex index = OneTensor(kMiB);
  const Machine machine = PlanMachine(kGiB);
  const auto loader = [&](uint64_t cached_bytes) {
    return PlanPlacement(index, machine, {}, {.cached_bytes = cached_bytes}).value().loader;
  };
  EXPECT_EQ(loader(0), LoaderKind::kIoUring);
  EXPECT_EQ(loader(kMiB - 1), LoaderKind::kIoUring);
  EXPECT_EQ(loader(kMiB), LoaderKind::kRead);
}

TEST(PlanPlacement, AutoMapsWhatDoesNotFitAndSaysWhy) {
  const TensorIndex index = OneTensor(960 * kMiB);
  // 5% of the gigabyte stay free: 972.8 MiB are left.
  EXPECT_EQ(Plan(index, {}).loader, LoaderKind::kIoUring);
  const PlacementPlan plan = Plan(index, {}, PlanMachine(kGiB - 16 * kMiB));
  EXPECT_TRUE(plan.mapped);
  EXPECT_EQ(plan.loader, LoaderKind::kMmap);
  EXPECT_THAT(plan.arenas, IsEmpty());
  EXPECT_EQ(ArenaOffset(plan, plan.parts[0]), 0U);
  ASSERT_EQ(plan.fallbacks.size(), 1U);
  EXPECT_EQ(plan.fallbacks[0].got, "mmap");
  EXPECT_THAT(plan.fallbacks[0].why, HasSubstr("960.0 MiB of memory are needed, 957.6 MiB may"));
}

TEST(PlanPlacement, ExplicitLoaderThatDoesNotFitIsAnError) {
  const TensorIndex index = OneTensor(960 * kMiB);
  const auto plan =
      PlanPlacement(index, PlanMachine(kGiB / 2), {.loader = LoaderKind::kIoUring}, {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kResource);
  EXPECT_THAT(plan.error().message, HasSubstr("960.0 MiB of memory are needed, 486.4 MiB may"));
  EXPECT_THAT(plan.error().fix, HasSubstr("--loader=mmap"));
  // Of one node only what is free there counts, and the message names it.
  Machine two = PlanMachine(2 * kGiB);
  two.nodes.push_back({.os_index = 3, .total_bytes = kGiB, .free_bytes = kGiB / 2});
  const auto bound =
      PlanPlacement(index, two, {.loader = LoaderKind::kIoUring, .numa = BindTo(3)}, {});
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().message, HasSubstr("486.4 MiB on node 3 may be used"));
  // Required huge pages rule mmap out for auto, too.
  const auto required =
      PlanPlacement(index, PlanMachine(kGiB / 2),
                    {.hugepages = HugePages::kThp, .policy = HugePagesPolicy::kRequire}, {});
  ASSERT_FALSE(required);
  EXPECT_EQ(required.error().code, ErrorCode::kResource);
}

TEST(PlanPlacement, HugePagesOfThePoolsNeedNoOrdinaryMemory) {
  const TensorIndex index = OneTensor(3 * kGiB);
  const LoadOptions options{.loader = LoaderKind::kRead, .hugepages = HugePages::k1G};
  EXPECT_TRUE(PlanPlacement(index, PlanMachine(kMiB, {}, {3, 3}), options, {}));
  // One 1G page is missing: 512 of 2M can stand in for it, 511 cannot.
  EXPECT_TRUE(PlanPlacement(index, PlanMachine(kMiB, {512, 512}, {3, 2}), options, {}));
  EXPECT_FALSE(PlanPlacement(index, PlanMachine(kMiB, {512, 511}, {3, 2}), options, {}));
}

TEST(PlanPlacement, MmapTakesNoHugePages) {
  const TensorIndex index = OneTensor(kMiB);
  const PlacementPlan plan =
      Plan(index, {.loader = LoaderKind::kMmap, .hugepages = HugePages::k2M});
  ASSERT_EQ(plan.fallbacks.size(), 1U);
  EXPECT_EQ(plan.fallbacks[0].wanted, "2M pages");
  EXPECT_EQ(plan.fallbacks[0].got, "pages of the page cache (4K)");
  EXPECT_THAT(Plan(index, {.loader = LoaderKind::kMmap}).fallbacks, IsEmpty());
  const auto required = PlanPlacement(index, PlanMachine(kGiB),
                                      {.loader = LoaderKind::kMmap,
                                       .hugepages = HugePages::k2M,
                                       .policy = HugePagesPolicy::kRequire},
                                      {});
  ASSERT_FALSE(required);
  EXPECT_EQ(required.error().code, ErrorCode::kUnavailable);
}

TEST(PlanPlacement, WeightsSmallerThanOnePageAreExplained) {
  const TensorIndex index = OneTensor(5 * kMiB);
  const PlacementPlan plan =
      Plan(index, {.loader = LoaderKind::kRead, .hugepages = HugePages::k1G});
  ASSERT_EQ(plan.fallbacks.size(), 1U);
  EXPECT_EQ(plan.fallbacks[0].wanted, "1G pages");
  EXPECT_EQ(plan.fallbacks[0].got, "2M pages");
  EXPECT_THAT(plan.fallbacks[0].why, HasSubstr("5.0 MiB, less than one page of 1.00 GiB"));
  EXPECT_THAT(plan.fallbacks[0].fix, HasSubstr("--hugepages-policy=require"));
  const PlacementPlan required = Plan(index, {.loader = LoaderKind::kRead,
                                              .hugepages = HugePages::k1G,
                                              .policy = HugePagesPolicy::kRequire});
  EXPECT_EQ(required.arenas[0].tiles, (std::vector<PageTile>{{PageKind::k1G, kGiB}}));
  EXPECT_THAT(required.fallbacks, IsEmpty());
}

TEST(PlanPlacement, UnknownNodeIsAUsageError) {
  const auto plan = PlanPlacement(OneTensor(kMiB), PlanMachine(kGiB), {.numa = BindTo(7)}, {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kUsage);
  EXPECT_EQ(plan.error().message, "--numa=bind:7: no such node; this machine has: 0");
  EXPECT_EQ(Plan(OneTensor(kMiB), {.numa = BindTo(0)}).arenas[0].nodes, NodeSet{0});
}

TEST(PlanPlacement, ModelWithoutTensorsNeedsNoArena) {
  const PlacementPlan plan = Plan(MakeIndex({{100, {}}}), {.loader = LoaderKind::kRead});
  EXPECT_THAT(plan.arenas, IsEmpty());
  EXPECT_THAT(plan.segments, IsEmpty());
}

TEST(LoadOptions, NumbersOutsideTheirRangeAreUsageErrors) {
  EXPECT_TRUE(Validate({}));
  for (const LoadOptions& bad :
       {LoadOptions{.io_threads = -1}, LoadOptions{.io_threads = 1025},
        LoadOptions{.queue_depth = 0}, LoadOptions{.queue_depth = 4097},
        LoadOptions{.chunk_bytes = 4095}, LoadOptions{.chunk_bytes = (1ULL << 30) + 1}}) {
    ASSERT_FALSE(Validate(bad));
    EXPECT_EQ(Validate(bad).error().code, ErrorCode::kUsage);
  }
}

TEST(LoadOptions, NumaPolicies) {
  for (const char* name : {"off", "bind:0", "bind:12", "interleave"}) {
    const auto policy = ParseNumaPolicy(name);
    ASSERT_TRUE(policy) << name;
    EXPECT_EQ(NameOf(*policy), name);
  }
  for (const char* name : {"", "bind", "bind:", "bind:-1", "bind:1x", "bind:4294967296", "Off"}) {
    EXPECT_FALSE(ParseNumaPolicy(name)) << name;
  }
}

TEST(LoadOptions, LoaderNames) {
  for (const char* name : {"auto", "mmap", "read", "io_uring", "splice"}) {
    EXPECT_EQ(NameOf(ParseLoaderKind(name).value()), name);
  }
  EXPECT_FALSE(ParseLoaderKind("uring"));
}

}  // namespace
}  // namespace llmrun
