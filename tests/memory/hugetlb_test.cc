// Arenas of real hugetlb pages. Root can fill the pools; elsewhere these skip and say why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/units.h"
#include "memory/arena.h"
#include "memory/residency.h"
#include "tests/memory/hugepool_lock.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

uint64_t FreePages(PageKind kind) {
  uint64_t pages = 0;
  const auto pools = HugePoolStatus();
  if (!pools) return 0;
  for (const PoolStatus& pool : *pools) pages += pool.kind == kind ? pool.free_pages : 0;
  return pages;
}

ArenaSpec HugetlbSpec(std::vector<PageTile> tiles) {
  ArenaSpec spec;
  spec.tiles = std::move(tiles);
  spec.populate_threads = 2;
  return spec;
}

Residency Inspect(const Arena& arena) {
  const auto residency = InspectRange({arena.data(), arena.size_bytes()});
  EXPECT_TRUE(residency) << residency.error().OneLine();
  return residency.value_or(Residency());
}

TEST(Hugetlb, TwoMegabytePagesAreReadBack) {
  const HugePoolLease pool(PageKind::k2M, 4);
  if (!pool.why_not().empty()) GTEST_SKIP() << pool.why_not();
  const uint64_t free_before = FreePages(PageKind::k2M);
  {
    auto arena =
        Arena::Reserve(HugetlbSpec({{PageKind::k2M, 8 * kMiB}, {PageKind::k4K, 12 * kKiB}}));
    ASSERT_TRUE(arena) << arena.error().OneLine();
    EXPECT_THAT(arena->fallbacks(), IsEmpty());
    EXPECT_THAT(arena->got(),
                ElementsAre(PageTile{PageKind::k2M, 8 * kMiB}, PageTile{PageKind::k4K, 12 * kKiB}));
    EXPECT_EQ(FreePages(PageKind::k2M), free_before - 4);
    arena->data()[8 * kMiB - 1] = std::byte{1};
    ASSERT_TRUE(arena->Lock());
    ASSERT_TRUE(arena->Seal());
    const Residency residency = Inspect(*arena);
    EXPECT_EQ(residency.bytes_2m, 8 * kMiB);
    EXPECT_EQ(residency.bytes_4k, 12 * kKiB);
    EXPECT_EQ(residency.bytes_1g + residency.bytes_thp + residency.bytes_absent, 0u);
    if (!residency.node_bytes.empty() && residency.node_bytes.size() == 1) {
      EXPECT_THAT(residency.node_bytes, ElementsAre(Pair(0, arena->size_bytes())));
    }
    // A part of a hugetlb mapping is a part of its pages.
    const auto half = InspectPages({arena->data(), 4 * kMiB});
    ASSERT_TRUE(half);
    EXPECT_EQ(half->bytes_2m, 4 * kMiB);
  }
  EXPECT_EQ(FreePages(PageKind::k2M), free_before) << "all pages went back";
}

TEST(Hugetlb, BoundPagesComeFromTheNode) {
  const HugePoolLease pool(PageKind::k2M, 2);
  if (!pool.why_not().empty()) GTEST_SKIP() << pool.why_not();
  ArenaSpec spec = HugetlbSpec({{PageKind::k2M, 4 * kMiB}});
  spec.nodes = {0};
  spec.policy = HugePagesPolicy::kRequire;
  const auto arena = Arena::Reserve(spec);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  const Residency residency = Inspect(*arena);
  if (residency.node_bytes.empty()) GTEST_SKIP() << "move_pages is not permitted here";
  EXPECT_THAT(residency.node_bytes, ElementsAre(Pair(0, 4 * kMiB)));
}

TEST(Hugetlb, AShortPoolIsMixedAndReadBack) {
  const HugePoolLease pool(PageKind::k2M, 3);
  if (!pool.why_not().empty()) GTEST_SKIP() << pool.why_not();
  const uint64_t free_pages = FreePages(PageKind::k2M);
  const uint64_t wanted = free_pages + 2;
  const auto arena = Arena::Reserve(HugetlbSpec({{PageKind::k2M, wanted * 2 * kMiB}}));
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_EQ(arena->got().at(0), (PageTile{PageKind::k2M, free_pages * 2 * kMiB}));
  const Residency residency = Inspect(*arena);
  EXPECT_EQ(residency.bytes_2m, free_pages * 2 * kMiB);
  EXPECT_EQ(residency.bytes_thp + residency.bytes_4k, 4 * kMiB);
  ASSERT_FALSE(arena->fallbacks().empty());
  EXPECT_EQ(arena->fallbacks()[0].why,
            fmt::format("there are {} free 2M pages, {} needed", free_pages, wanted));
  EXPECT_EQ(arena->fallbacks()[0].fix,
            fmt::format("sudo llm-run hugepages reserve --size=2M --count={} --node=0", wanted));
}

TEST(Hugetlb, RequiringMoreThanThePoolHasIsAnError) {
  const HugePoolLock lock;
  for (const PageKind kind : {PageKind::k2M, PageKind::k1G}) {
    ArenaSpec spec = HugetlbSpec({{kind, (FreePages(kind) + 1) * PageBytes(kind)}});
    spec.policy = HugePagesPolicy::kRequire;
    const auto arena = Arena::Reserve(spec);
    ASSERT_FALSE(arena);
    EXPECT_EQ(arena.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(arena.error().message, HasSubstr(fmt::format("{} pages required", NameOf(kind))));
    EXPECT_THAT(arena.error().fix, HasSubstr("sudo llm-run hugepages reserve"));
  }
}

TEST(Hugetlb, AGigabytePageWithATail) {
  const HugePoolLease pool(PageKind::k1G, 1);
  if (!pool.why_not().empty()) GTEST_SKIP() << pool.why_not();
  const uint64_t free_before = FreePages(PageKind::k1G);
  {
    const auto arena =
        Arena::Reserve(HugetlbSpec({{PageKind::k1G, kGiB}, {PageKind::k4K, 4 * kKiB}}));
    ASSERT_TRUE(arena) << arena.error().OneLine();
    EXPECT_THAT(arena->fallbacks(), IsEmpty());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arena->data()) % kGiB, 0u);
    const Residency residency = Inspect(*arena);
    EXPECT_EQ(residency.bytes_1g, kGiB);
    EXPECT_EQ(residency.bytes_4k, 4 * kKiB);
    EXPECT_EQ(FreePages(PageKind::k1G), free_before - 1);
  }
  EXPECT_EQ(FreePages(PageKind::k1G), free_before);
}

TEST(Hugetlb, ALeaseGivesBackWhatItAdded) {
  uint64_t before = 0;
  {
    const HugePoolLock lock;
    before = FreePages(PageKind::k2M);
  }
  {
    const HugePoolLease pool(PageKind::k2M, before + 2);
    if (!pool.why_not().empty()) GTEST_SKIP() << pool.why_not();
    EXPECT_EQ(FreePages(PageKind::k2M), before + 2);
  }
  const HugePoolLock lock;
  EXPECT_EQ(FreePages(PageKind::k2M), before);
}

}  // namespace
}  // namespace llmrun
