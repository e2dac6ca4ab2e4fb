// Arenas whose pages are touched later: every piece once, whoever asks; steps down in place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "base/units.h"
#include "memory/arena.h"
#include "memory/residency.h"
#include "tests/memory/fake_page_calls.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

ArenaSpec LaterSpec(std::vector<PageTile> tiles) {
  ArenaSpec spec;
  spec.tiles = std::move(tiles);
  spec.touch_later = true;
  return spec;
}

TEST(TouchLater, OnlyWhatIsAskedForIsThere) {
  auto arena = Arena::Reserve(LaterSpec({{PageKind::k4K, 16 * kMiB}})).value();
  const std::span<const std::byte> all(arena.data(), arena.size_bytes());
  EXPECT_EQ(InspectRange(all)->bytes_absent, 16 * kMiB);
  ASSERT_TRUE(arena.EnsurePages(5 * kMiB, 100));
  EXPECT_EQ(InspectRange(all)->bytes_absent, 14 * kMiB);
  EXPECT_TRUE(arena.TryPages(0, kMiB));
  EXPECT_FALSE(arena.TryPages(0, kMiB)) << "nothing left to touch there";
  ASSERT_TRUE(arena.FinishPages());
  EXPECT_EQ(InspectRange(all)->bytes_absent, 0U);
  EXPECT_THAT(arena.fallbacks(), IsEmpty());
  EXPECT_TRUE(arena.EnsurePages(0, 16 * kMiB)) << "also afterwards";
}

TEST(TouchLater, ManyThreadsTouchEveryPieceOnce) {
  FakePageCalls calls;
  calls.pool[PageKind::k2M] = 64;
  calls.node_pages[PageKind::k2M] = 64;  // a piece touched twice would run out of these
  auto arena = Arena::Reserve(LaterSpec({{PageKind::k2M, 128 * kMiB}}), calls).value();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&arena] { EXPECT_TRUE(arena.EnsurePages(0, 128 * kMiB)); });
  }
  threads.clear();
  EXPECT_EQ(calls.node_pages[PageKind::k2M], 0U);
  ASSERT_TRUE(arena.FinishPages());
  ASSERT_EQ(arena.got().size(), 1U);
  EXPECT_EQ(arena.got()[0].kind, PageKind::k2M);
}

TEST(TouchLater, APieceThatCannotBeHadStepsDownInPlace) {
  FakePageCalls calls;
  calls.pool[PageKind::k2M] = 8;
  calls.node_pages[PageKind::k2M] = 5;
  auto arena = Arena::Reserve(LaterSpec({{PageKind::k2M, 16 * kMiB}}), calls).value();
  ASSERT_TRUE(arena.FinishPages());
  uint64_t bytes_2m = 0;
  uint64_t bytes_thp = 0;
  for (const PageTile& tile : arena.got()) {
    (tile.kind == PageKind::k2M ? bytes_2m : bytes_thp) += tile.bytes;
  }
  EXPECT_EQ(bytes_2m, 10 * kMiB);
  EXPECT_EQ(bytes_thp, 6 * kMiB);
  ASSERT_EQ(arena.fallbacks().size(), 1U);
  EXPECT_EQ(arena.fallbacks()[0].wanted, "2M pages");
  EXPECT_EQ(arena.fallbacks()[0].OneLine(),
            "wanted 2M pages, got THP for a part: the pool has free ones, but a limit of the "
            "cgroup forbids them; fix: raise hugetlb.2MB.max of the cgroup");
}

TEST(TouchLater, APoolEmptiedByOthersIsNamedWithTheCommandThatHelps) {
  FakePageCalls calls;
  calls.pool[PageKind::k2M] = 8;
  calls.node_pages[PageKind::k2M] = 8;
  ArenaSpec spec = LaterSpec({{PageKind::k2M, 16 * kMiB}});
  spec.nodes = {1};
  auto arena = Arena::Reserve(spec, calls).value();
  calls.node_pages[PageKind::k2M] = 3;
  ASSERT_TRUE(arena.FinishPages());
  ASSERT_EQ(arena.fallbacks().size(), 1U);
  EXPECT_EQ(arena.fallbacks()[0].OneLine(),
            "wanted 2M pages, got THP for a part: none were left in the pool; fix: sudo llm-run "
            "hugepages reserve --size=2M --count=8 --node=1");
}

TEST(TouchLater, AShortNodeIsKnownBeforeAPageIsTouched) {
  FakePageCalls calls;
  calls.pool[PageKind::k2M] = 8;
  calls.node_pages[PageKind::k2M] = 5;
  ArenaSpec spec = LaterSpec({{PageKind::k2M, 16 * kMiB}});
  spec.nodes = {1};
  const auto arena = Arena::Reserve(spec, calls).value();
  ASSERT_EQ(arena.got().size(), 2U);
  EXPECT_EQ(arena.got()[0], (PageTile{PageKind::k2M, 10 * kMiB}));
  EXPECT_EQ(arena.got()[1], (PageTile{PageKind::kThp, 6 * kMiB}));
  EXPECT_EQ(arena.fallbacks().at(0).OneLine(),
            "wanted 8 x 2M, got 5 x 2M, then THP: node 1 has 5 free 2M pages, 8 needed; fix: sudo "
            "llm-run hugepages reserve --size=2M --count=8 --node=1");
  spec.policy = HugePagesPolicy::kRequire;
  const auto refused = Arena::Reserve(spec, calls);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().OneLine(),
            "2M pages required: node 1 has 5 free 2M pages, 8 needed; fix: sudo llm-run hugepages "
            "reserve --size=2M --count=8 --node=1");
}

TEST(TouchLater, RequiredPagesThatCannotBeHadAreAnErrorForAll) {
  FakePageCalls calls;
  calls.pool[PageKind::k2M] = 8;
  calls.node_pages[PageKind::k2M] = 0;
  ArenaSpec spec = LaterSpec({{PageKind::k2M, 16 * kMiB}});
  spec.policy = HugePagesPolicy::kRequire;
  auto arena = Arena::Reserve(spec, calls).value();
  EXPECT_TRUE(arena.TryPages(0, 2 * kMiB));  // leaves errors to who needs the bytes
  for (int i = 0; i < 2; ++i) {
    const Status status = arena.EnsurePages(0, 1);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(status.error().OneLine(),
              "2.0 MiB in 2M pages cannot be had: the pool has free ones, but a limit of the "
              "cgroup forbids them; fix: raise hugetlb.2MB.max of the cgroup");
  }
}

TEST(TouchLater, NoMemoryIsAnErrorWithAFix) {
  FakePageCalls calls;
  calls.populate_errnum[PageKind::k4K] = ENOMEM;
  auto arena = Arena::Reserve(LaterSpec({{PageKind::k4K, 4 * kMiB}}), calls).value();
  const Status status = arena.FinishPages();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kResource);
  EXPECT_FALSE(status.error().fix.empty());
}

TEST(TouchLater, ThpThatTheKernelDidNotGiveIsSaid) {
  FakePageCalls calls;
  calls.thp_bytes = 2 * kMiB;
  auto arena = Arena::Reserve(LaterSpec({{PageKind::kThp, 8 * kMiB}}), calls).value();
  ASSERT_TRUE(arena.FinishPages());
  ASSERT_EQ(arena.fallbacks().size(), 1U);
  EXPECT_EQ(arena.fallbacks()[0].wanted, "THP");
}

}  // namespace
}  // namespace llmrun
