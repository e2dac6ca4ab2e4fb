#include "loader/plan/read_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/loader/plan_index.h"

namespace llmrun {
namespace {

using ::testing::ElementsAre;

ReadPlan PlanOf(const TensorIndex& index, const BackendLimits& limits) {
  const PlacementPlan placement =
      PlanPlacement(index, PlanMachine(kGiB), {.loader = LoaderKind::kRead}, {}).value();
  return PlanReads(index, placement, limits);
}

TEST(PlanReads, GoldenExample) {
  // Output first, what comes before the layers, layers, all in one run.
  const TensorIndex index = MakeIndex({{30'000,
                                        {{"output.weight", 5000, 5000},
                                         {"rope_freqs.weight", 10'016, 4000},
                                         {"blk.0.w", 14'016, 8000},
                                         {"blk.1.w", 22'016, 7984}}}});
  const ReadPlan plan = PlanOf(index, {.offset_alignment = 4096, .max_request_bytes = 8192});
  ASSERT_EQ(plan.reads.size(), 4U);
  // [4096, 12288) holds output (group 3) and factors (group 0), and so on.
  EXPECT_THAT(plan.groups_of_read[0], ElementsAre(0, 3));
  EXPECT_THAT(plan.groups_of_read[1], ElementsAre(0, 1));
  EXPECT_THAT(plan.groups_of_read[2], ElementsAre(1, 2));
  EXPECT_THAT(plan.groups_of_read[3], ElementsAre(2));
  EXPECT_THAT(plan.group_reads, ElementsAre(2, 2, 2, 1));
  EXPECT_EQ(plan.reads[0].file_offset, 4096U);
  EXPECT_EQ(plan.reads[0].bytes, 8192U);
  EXPECT_EQ(plan.reads[0].arena_offset, 0U);
  EXPECT_EQ(plan.reads[0].first_group, 0U);
  EXPECT_EQ(plan.reads[0].last_group, 3U);
  EXPECT_EQ(plan.reads[3].file_offset, 28'672U);
  EXPECT_EQ(plan.reads[3].bytes, 4096U);  // the tail lies past the end of the file
  EXPECT_EQ(plan.reads[3].must_bytes, 1328U);
  EXPECT_EQ(plan.total_bytes, 3 * 8192U + 1328);
}

TEST(PlanReads, LayersComeInTheirOrderWhateverTheFileHas) {
  const TensorIndex index = MakeIndex({{4 << 20,
                                        {{"token_embd.weight", 0, 4096},
                                         {"blk.1.w", 1 << 20, 4096},
                                         {"blk.0.w", 2 << 20, 4096},
                                         {"rope_freqs.weight", 3 << 20, 4096}}}});
  const ReadPlan plan = PlanOf(index, {.offset_alignment = 4096});
  std::vector<uint64_t> offsets;
  for (const PlannedRead& read : plan.reads) offsets.push_back(read.file_offset);
  EXPECT_THAT(offsets, ElementsAre(3U << 20, 2U << 20, 1U << 20, 0U));
}

struct Extent {
  uint64_t begin;
  uint64_t end;
};

// Every tensor byte is covered by exactly one read, which puts it where ArenaOffset says; no two
// reads touch the same memory; sizes and alignments keep to the limits.
void CheckProperties(const TensorIndex& index, const BackendLimits& limits) {
  const PlacementPlan placement =
      PlanPlacement(index, PlanMachine(kGiB), {.loader = LoaderKind::kRead}, {}).value();
  const ReadPlan plan = PlanReads(index, placement, limits);
  std::vector<std::vector<Extent>> covered(index.files().size());
  std::vector<Extent> written;
  std::vector<uint32_t> group_reads(index.group_count());
  GroupId last_first_group = 0;
  for (size_t i = 0; i < plan.reads.size(); ++i) {
    const PlannedRead& read = plan.reads[i];
    ASSERT_EQ(read.file_offset % limits.offset_alignment, 0U);
    ASSERT_EQ(read.bytes % limits.offset_alignment, 0U);
    ASSERT_EQ(read.arena_offset % limits.offset_alignment, 0U);
    ASSERT_LE(read.bytes, std::max(limits.max_request_bytes, limits.offset_alignment));
    ASSERT_GT(read.must_bytes, 0U);
    ASSERT_LE(read.file_offset + read.must_bytes, index.files()[read.file].file_bytes);
    ASSERT_LE(read.arena_offset + read.bytes, placement.arenas[read.arena].bytes);
    ASSERT_GE(read.first_group, last_first_group);
    last_first_group = read.first_group;
    covered[read.file].push_back({read.file_offset, read.file_offset + read.must_bytes});
    written.push_back({read.arena_offset, read.arena_offset + read.bytes});
    std::set<GroupId> groups;
    for (uint32_t t = 0; t < index.tensors().size(); ++t) {
      const FileExtent& extent = index.at(TensorId{t}).extent;
      const bool touched = extent.file == read.file &&
                           extent.offset < read.file_offset + read.bytes &&
                           read.file_offset < extent.offset + extent.bytes;
      if (!touched) continue;
      groups.insert(index.at(TensorId{t}).group);
      // Modular arithmetic: the tensor may begin before the read.
      ASSERT_EQ(read.arena_offset - read.file_offset,
                ArenaOffset(placement, PartsOf(placement, TensorId{t}).front()) - extent.offset);
    }
    ASSERT_EQ(plan.groups_of_read[i], std::vector<GroupId>(groups.begin(), groups.end()));
    for (const GroupId group : groups) ++group_reads[group];
  }
  ASSERT_EQ(plan.group_reads, group_reads);
  const auto by_begin = [](const Extent& a, const Extent& b) { return a.begin < b.begin; };
  std::sort(written.begin(), written.end(), by_begin);
  for (size_t i = 1; i < written.size(); ++i) ASSERT_LE(written[i - 1].end, written[i].begin);
  for (const IndexedTensor& tensor : index.tensors()) {
    uint64_t found_bytes = 0;
    for (const Extent& range : covered[tensor.extent.file]) {
      const uint64_t begin = std::max(range.begin, tensor.extent.offset);
      const uint64_t end = std::min(range.end, tensor.extent.offset + tensor.extent.bytes);
      if (begin < end) found_bytes += end - begin;
    }
    ASSERT_EQ(found_bytes, tensor.extent.bytes);
  }
}

TEST(PlanReads, PropertiesOfRandomLayouts) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    const TensorIndex index = RandomIndex(seed);
    for (const uint64_t alignment : {1, 512, 4096}) {
      for (const uint64_t max_bytes : {4096, 10'000, 4 << 20}) {
        SCOPED_TRACE(testing::Message() << seed << " " << alignment << " " << max_bytes);
        CheckProperties(index, {.offset_alignment = alignment, .max_request_bytes = max_bytes});
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(PlanReads, MappedPlansAreRangesOfTheFile) {
  const TensorIndex index = RandomIndex(5);
  const PlacementPlan placement =
      PlanPlacement(index, PlanMachine(kGiB), {.loader = LoaderKind::kMmap}, {}).value();
  const ReadPlan plan = PlanReads(index, placement, {.offset_alignment = 4096});
  ASSERT_FALSE(plan.reads.empty());
  for (const PlannedRead& read : plan.reads) {
    EXPECT_EQ(read.arena, read.file);
    EXPECT_EQ(read.arena_offset, read.file_offset);
  }
}

}  // namespace
}  // namespace llmrun
