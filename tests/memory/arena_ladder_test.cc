// The ladder 1G -> 2M -> THP -> 4K, against a machine that refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/units.h"
#include "memory/arena.h"
#include "tests/memory/fake_page_calls.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr PageTile k1G(uint64_t pages) { return {PageKind::k1G, pages * kGiB}; }
constexpr PageTile k2M(uint64_t pages) { return {PageKind::k2M, pages * 2 * kMiB}; }
constexpr PageTile kThp(uint64_t pages) { return {PageKind::kThp, pages * 2 * kMiB}; }
constexpr PageTile k4K(uint64_t pages) { return {PageKind::k4K, pages * 4 * kKiB}; }

ArenaSpec Spec(std::vector<PageTile> tiles) {
  ArenaSpec spec;
  spec.tiles = std::move(tiles);
  return spec;
}

std::vector<std::string> Lines(const Arena& arena) {
  std::vector<std::string> lines;
  for (const Fallback& fallback : arena.fallbacks()) lines.push_back(fallback.OneLine());
  return lines;
}

TEST(ArenaLadder, FullPoolsNeedNoFallback) {
  FakePageCalls calls;
  calls.pool = {{PageKind::k1G, 2}, {PageKind::k2M, 3}};
  const auto arena = Arena::Reserve(Spec({k1G(2), k2M(3), k4K(5)}), calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(arena->got(), ElementsAre(k1G(2), k2M(3), k4K(5)));
  EXPECT_THAT(arena->fallbacks(), IsEmpty());
  EXPECT_EQ(arena->size_bytes(), 2 * kGiB + 6 * kMiB + 20 * kKiB);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(arena->data()) % kGiB, 0u);
  EXPECT_EQ(calls.pool[PageKind::k1G], 0u);
}

TEST(ArenaLadder, EmptyPoolsEndInTransparentPages) {
  FakePageCalls calls;
  const auto arena = Arena::Reserve(Spec({k1G(3), k2M(10), k4K(5)}), calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(arena->got(), ElementsAre(kThp(3 * 512 + 10), k4K(5)));
  EXPECT_THAT(Lines(*arena),
              ElementsAre("wanted 3 x 1G, got 2M pages: there are 0 free 1G pages, 3 needed; fix: "
                          "sudo llm-run hugepages reserve --size=1G --count=3 --node=0",
                          "wanted 1546 x 2M, got THP: there are 0 free 2M pages, 1546 needed; fix: "
                          "sudo llm-run hugepages reserve --size=2M --count=1546 --node=0"));
}

TEST(ArenaLadder, AShortPoolIsUsedUp) {
  FakePageCalls calls;
  calls.pool = {{PageKind::k1G, 1}, {PageKind::k2M, 600}};
  const auto arena = Arena::Reserve(Spec({k1G(3), k2M(10), k4K(5)}), calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(arena->got(), ElementsAre(k1G(1), k2M(600), kThp(2 * 512 + 10 - 600), k4K(5)));
  EXPECT_THAT(
      Lines(*arena),
      ElementsAre("wanted 3 x 1G, got 1 x 1G, then 2M pages: there are 1 free 1G pages, 3 "
                  "needed; fix: sudo llm-run hugepages reserve --size=1G --count=3 --node=0",
                  "wanted 1034 x 2M, got 600 x 2M, then THP: there are 600 free 2M pages, "
                  "1034 needed; fix: sudo llm-run hugepages reserve --size=2M --count=1034 "
                  "--node=0"));
}

// mmap reserves from all nodes together, and would promise what the node does not have.
TEST(ArenaLadder, AShortNodeIsAskedForWhatItHas) {
  for (const int threads : {1, 3}) {
    FakePageCalls calls;
    calls.pool = {{PageKind::k1G, 4}};
    calls.node_pages = {{PageKind::k1G, 2}};
    ArenaSpec spec = Spec({k1G(4), k4K(1)});
    spec.nodes = {1};
    spec.populate_threads = threads;
    const auto arena = Arena::Reserve(spec, calls);
    ASSERT_TRUE(arena) << arena.error().OneLine();
    EXPECT_THAT(arena->got(), ElementsAre(k1G(2), kThp(1024), k4K(1)));
    EXPECT_EQ(calls.pool[PageKind::k1G], 2u) << "pages of other nodes went back";
    EXPECT_THAT(calls.bound_nodes, ElementsAre(1));
    EXPECT_EQ(Lines(*arena).at(0),
              "wanted 4 x 1G, got 2 x 1G, then 2M pages: node 1 has 2 free 1G pages, 4 needed; "
              "fix: sudo llm-run hugepages reserve --size=1G --count=4 --node=1");
  }
}

TEST(ArenaLadder, NodesInTurnGiveEqualParts) {
  FakePageCalls calls;
  calls.pool = {{PageKind::k2M, 100}};
  calls.node_pages = {{PageKind::k2M, 6}};  // three on each
  ArenaSpec spec = Spec({k2M(9), k4K(1)});
  spec.nodes = {0, 2};
  const auto arena = Arena::Reserve(spec, calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(arena->got(), ElementsAre(k2M(6), kThp(3), k4K(1)));
  EXPECT_THAT(calls.bound_nodes, ElementsAre(0, 2));
  EXPECT_THAT(Lines(*arena),
              ElementsAre("wanted 9 x 2M, got 6 x 2M, then THP: nodes 0, 2 have in equal parts 6 "
                          "free 2M pages, 9 needed; fix: sudo llm-run hugepages reserve --size=2M "
                          "--count=5 --node=0 && sudo llm-run hugepages reserve --size=2M "
                          "--count=5 --node=2"));
}

TEST(ArenaLadder, APoolLimitThatIsNotThePoolIsNamed) {
  FakePageCalls calls;
  calls.pool = {{PageKind::k2M, 20}};
  calls.node_pages = {{PageKind::k2M, 13}};  // e.g. the cgroup's hugetlb.2MB.max
  const auto arena = Arena::Reserve(Spec({k2M(20)}), calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(arena->got(), ElementsAre(k2M(13), kThp(7))) << "exact to the page";
  EXPECT_THAT(Lines(*arena).at(0),
              HasSubstr("there are 20 free 2M pages, 20 needed, but the kernel refused some: "
                        "Bad address"));
}

TEST(ArenaLadder, AKernelWithoutThePageSize) {
  FakePageCalls calls;
  calls.unknown_kinds = {PageKind::k1G};
  calls.pool = {{PageKind::k2M, 512}};
  const auto arena = Arena::Reserve(Spec({k1G(1)}), calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(arena->got(), ElementsAre(k2M(512)));
  EXPECT_THAT(Lines(*arena).at(0), HasSubstr("the kernel offers no 1G pages"));
}

TEST(ArenaLadder, SwitchedOffTransparentPages) {
  FakePageCalls calls;
  calls.thp_off = true;
  const auto arena = Arena::Reserve(Spec({kThp(2), k4K(3)}), calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(arena->got(), ElementsAre(k4K(1024 + 3)));
  EXPECT_THAT(
      Lines(*arena),
      ElementsAre("wanted 2 x THP, got 4K pages: transparent huge pages are switched off in "
                  "the kernel; fix: echo madvise | sudo tee "
                  "/sys/kernel/mm/transparent_hugepage/enabled"));
}

TEST(ArenaLadder, TransparentPagesThatTheKernelDidNotHave) {
  FakePageCalls calls;
  calls.thp_bytes = 4 * kMiB;
  const auto arena = Arena::Reserve(Spec({kThp(3)}), calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(Lines(*arena),
              ElementsAre(HasSubstr("wanted THP, got 4K pages for 2.0 MiB: the kernel had "
                                    "transparent huge pages for 4.0 MiB of 6.0 MiB")));
  ArenaSpec required = Spec({kThp(3)});
  required.policy = HugePagesPolicy::kRequire;
  const auto refused = Arena::Reserve(required, calls);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
}

TEST(ArenaLadder, RequireIsAnErrorWithTheCommandThatHelps) {
  FakePageCalls calls;
  calls.pool = {{PageKind::k1G, 1}};
  ArenaSpec spec = Spec({k1G(3)});
  spec.policy = HugePagesPolicy::kRequire;
  const auto arena = Arena::Reserve(spec, calls);
  ASSERT_FALSE(arena);
  EXPECT_EQ(arena.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(ExitCode(arena.error().code), 69);
  EXPECT_EQ(arena.error().OneLine(),
            "1G pages required: there are 1 free 1G pages, 3 needed; fix: sudo llm-run hugepages "
            "reserve --size=1G --count=3 --node=0");
}

TEST(ArenaLadder, TooLittleMemoryIsRefusedBeforeAPageIsTouched) {
  FakePageCalls calls;
  calls.pool = {{PageKind::k2M, 1}};
  calls.populate_errnum = {{PageKind::k4K, EIO}};  // would tell that it was tried
  calls.available = AvailableMemory{kGiB, "/sys/fs/cgroup/box/memory.max"};
  const auto arena = Arena::Reserve(Spec({k2M(1), {PageKind::k4K, kGiB}}), calls);
  ASSERT_FALSE(arena);
  EXPECT_EQ(arena.error().code, ErrorCode::kResource);
  EXPECT_EQ(arena.error().message,
            "out of memory: 1.00 GiB needed in 4K pages, 1.00 GiB available "
            "(/sys/fs/cgroup/box/memory.max)")
      << "page tables need some, too";
  calls.available->bytes = 2 * kMiB;
  calls.populate_errnum.clear();
  calls.pool = {{PageKind::k1G, 1}};
  EXPECT_TRUE(Arena::Reserve(Spec({k1G(1)}), calls)) << "hugetlb pages count elsewhere";
}

TEST(ArenaLadder, FailingAt4KIsTheEnd) {
  FakePageCalls calls;
  calls.populate_errnum = {{PageKind::k4K, ENOMEM}};
  const auto arena = Arena::Reserve(Spec({k4K(100)}), calls);
  ASSERT_FALSE(arena);
  EXPECT_EQ(arena.error().code, ErrorCode::kResource);
  EXPECT_EQ(arena.error().message,
            "out of memory: 0 B of 400.0 KiB in 4K pages: Cannot allocate memory");
}

TEST(ArenaLadder, ForbiddenBindingIsOneFallback) {
  FakePageCalls calls;
  calls.bind_errnum = EPERM;
  calls.pool = {{PageKind::k2M, 2}};
  ArenaSpec spec = Spec({k2M(2), k4K(3)});
  spec.nodes = {0};
  const auto arena = Arena::Reserve(spec, calls);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_THAT(arena->got(), ElementsAre(k2M(2), k4K(3)));
  EXPECT_THAT(Lines(*arena),
              ElementsAre("wanted memory bound to node 0, got first touch by threads on that node: "
                          "mbind: Operation not permitted; fix: allow mbind, e.g. docker run "
                          "--cap-add=SYS_NICE"));
}

TEST(ArenaLadder, AnUnknownNodeIsAUsageError) {
  FakePageCalls calls;
  calls.bind_errnum = EINVAL;
  ArenaSpec spec = Spec({k4K(3)});
  spec.nodes = {7};
  const auto arena = Arena::Reserve(spec, calls);
  ASSERT_FALSE(arena);
  EXPECT_EQ(arena.error().code, ErrorCode::kUsage);
  EXPECT_THAT(arena.error().message, HasSubstr("node 7"));
}

// A pool that changes under us must not keep us asking for ever.
TEST(ArenaLadder, APoolThatLiesIsHalved) {
  FakePageCalls calls;
  calls.pool = {{PageKind::k2M, 1000}};
  calls.stolen_kinds = {PageKind::k2M};
  const auto arena = Arena::Reserve(Spec({k2M(1000)}), calls);
  ASSERT_TRUE(arena);
  EXPECT_THAT(arena->got(), ElementsAre(kThp(1000)));
  EXPECT_GE(calls.map_calls, 10);
  EXPECT_LE(calls.map_calls, 12);
}

}  // namespace
}  // namespace llmrun
