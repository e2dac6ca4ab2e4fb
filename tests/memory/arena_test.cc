// Arenas on the machine at hand. What needs filled hugetlb pools is in hugetlb_test.cc.
#include "memory/arena.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "base/units.h"
#include "memory/page_calls.h"
#include "memory/residency.h"
#include "tests/support/sanitizer.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ArenaSpec RealSpec(std::vector<PageTile> tiles, int threads = 1) {
  ArenaSpec spec;
  spec.tiles = std::move(tiles);
  spec.populate_threads = threads;
  return spec;
}

std::span<const std::byte> All(const Arena& arena) { return {arena.data(), arena.size_bytes()}; }

// "rw-p", "r--p", ... of the mapping that holds the address; "" for none.
std::string PermissionsAt(const std::byte* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uint64_t begin = 0;
    uint64_t end = 0;
    char permissions[5] = {};
    if (sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, permissions) != 3) continue;
    const auto wanted = reinterpret_cast<uintptr_t>(address);
    if (wanted >= begin && wanted < end) return permissions;
  }
  return "";
}

TEST(Arena, BasePagesAreAllThereAndZero) {
  for (const int threads : {1, 3}) {
    const uint64_t bytes = 40 * kMiB + 12 * kKiB;
    const auto arena = Arena::Reserve(RealSpec({{PageKind::k4K, bytes}}, threads));
    ASSERT_TRUE(arena) << arena.error().OneLine();
    EXPECT_EQ(arena->size_bytes(), bytes);
    EXPECT_THAT(arena->got(), ElementsAre(PageTile{PageKind::k4K, bytes}));
    EXPECT_THAT(arena->fallbacks(), IsEmpty());
    EXPECT_GT(arena->populate_seconds(), 0.0);
    const auto residency = InspectRange(All(*arena));
    ASSERT_TRUE(residency) << residency.error().OneLine();
    EXPECT_EQ(residency->bytes_4k, bytes) << "4K means 4K, even where THP is always on";
    EXPECT_EQ(residency->bytes_thp, 0u);
    EXPECT_EQ(residency->bytes_absent, 0u);
    EXPECT_EQ(arena->data()[0], std::byte{0});
    EXPECT_EQ(std::memcmp(arena->data(), arena->data() + 1, bytes - 1), 0) << "not all are zero";
  }
}

TEST(Arena, TransparentHugePagesAreReadBack) {
  const std::string mode = ThpMode();
  if (mode.empty() || mode == "never") GTEST_SKIP() << "THP is off here: '" << mode << "'";
  const std::vector<PageTile> tiles = {{PageKind::kThp, 32 * kMiB}, {PageKind::k4K, 8 * kKiB}};
  const auto arena = Arena::Reserve(RealSpec(tiles, 2));
  ASSERT_TRUE(arena) << arena.error().OneLine();
  EXPECT_EQ(arena->got(), tiles);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(arena->data()) % (2 * kMiB), 0u);
  const auto residency = InspectRange(All(*arena));
  ASSERT_TRUE(residency) << residency.error().OneLine();
  EXPECT_GT(residency->bytes_thp, 0u);
  EXPECT_EQ(residency->bytes_thp + residency->bytes_4k, arena->size_bytes());
  // Where the kernel could not give all, there is a line that says so.
  EXPECT_EQ(arena->fallbacks().empty(), residency->bytes_thp == 32 * kMiB);
}

TEST(Arena, BoundToANodeItLiesThere) {
  ArenaSpec spec = RealSpec({{PageKind::k4K, 4 * kMiB}}, 2);
  spec.nodes = {0};
  const auto arena = Arena::Reserve(spec);
  ASSERT_TRUE(arena) << arena.error().OneLine();
  const auto residency = InspectRange(All(*arena));
  ASSERT_TRUE(residency) << residency.error().OneLine();
  if (!arena->fallbacks().empty()) GTEST_SKIP() << arena->fallbacks()[0].OneLine();
  if (residency->node_bytes.empty()) GTEST_SKIP() << "move_pages is not permitted here";
  EXPECT_THAT(residency->node_bytes, ElementsAre(testing::Pair(0, 4 * kMiB)));
}

TEST(Arena, ANodeThatIsNotThere) {
  ArenaSpec spec = RealSpec({{PageKind::k4K, 4 * kKiB}});
  spec.nodes = {5000};
  const auto arena = Arena::Reserve(spec);
  if (arena) {  // where mbind is not permitted at all
    EXPECT_THAT(arena->fallbacks().at(0).why, HasSubstr("mbind"));
  } else {
    EXPECT_EQ(arena.error().code, ErrorCode::kUsage);
  }
}

TEST(Arena, MoreThanTheMachineHasIsRefusedWithNumbers) {
  const auto arena = Arena::Reserve(RealSpec({{PageKind::k4K, uint64_t{1} << 46}}));
  ASSERT_FALSE(arena);
  EXPECT_EQ(arena.error().code, ErrorCode::kResource);
  const auto absurd = Arena::Reserve(RealSpec({{PageKind::k4K, uint64_t{1} << 60}}));
  ASSERT_FALSE(absurd);
  EXPECT_EQ(absurd.error().code, ErrorCode::kResource);
}

TEST(Arena, NoTilesNoMemory) {
  auto arena = Arena::Reserve(ArenaSpec());
  ASSERT_TRUE(arena);
  EXPECT_EQ(arena->data(), nullptr);
  EXPECT_EQ(arena->size_bytes(), 0u);
  EXPECT_TRUE(arena->Lock());
  EXPECT_TRUE(arena->Seal());
}

TEST(Arena, SealMakesItReadOnly) {
  auto arena = Arena::Reserve(RealSpec({{PageKind::kThp, 2 * kMiB}, {PageKind::k4K, 8 * kKiB}}));
  ASSERT_TRUE(arena) << arena.error().OneLine();
  std::byte* last = arena->data() + arena->size_bytes() - 1;
  *last = std::byte{42};
  EXPECT_EQ(PermissionsAt(last), "rw-p");
  ASSERT_TRUE(arena->Seal());
  EXPECT_EQ(PermissionsAt(arena->data()), "r--p");
  EXPECT_EQ(PermissionsAt(last), "r--p");
  EXPECT_EQ(*last, std::byte{42});
}

TEST(Arena, MovesKeepTheMemory) {
  auto first = Arena::Reserve(RealSpec({{PageKind::k4K, 8 * kKiB}}));
  auto second = Arena::Reserve(RealSpec({{PageKind::k4K, 4 * kKiB}}));
  ASSERT_TRUE(first && second);
  std::byte* const memory = first->data();
  memory[5] = std::byte{7};
  Arena moved = std::move(*first);
  EXPECT_EQ(moved.data(), memory);
  EXPECT_EQ(first->data(), nullptr);
  *second = std::move(moved);
  EXPECT_EQ(second->data()[5], std::byte{7});
  EXPECT_EQ(second->size_bytes(), 8 * kKiB);
}

TEST(Arena, DestructionGivesTheAddressesBack) {
  std::byte* memory = nullptr;
  {
    const auto arena = Arena::Reserve(RealSpec({{PageKind::k4K, 64 * kMiB}}));
    ASSERT_TRUE(arena);
    memory = arena->data();
    EXPECT_EQ(PermissionsAt(memory), "rw-p");
  }
  EXPECT_NE(InspectPages({memory, 64 * kMiB}).value_or(Residency()).bytes_4k, 64 * kMiB);
}

uint64_t LockedBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    uint64_t kilobytes = 0;
    if (sscanf(line.c_str(), "VmLck: %lu kB", &kilobytes) == 1) return kilobytes * kKiB;
  }
  return 0;
}

TEST(Arena, LockPinsThePages) {
  auto arena = Arena::Reserve(RealSpec({{PageKind::k4K, 64 * kKiB}}));
  ASSERT_TRUE(arena);
  const uint64_t before = LockedBytes();
  const Status locked = arena->Lock();
  if (!locked) GTEST_SKIP() << locked.error().OneLine();
  EXPECT_EQ(LockedBytes() - before, kAnySanitizer ? 0 : 64 * kKiB);  // they make mlock a no-op
}

TEST(Arena, LockBeyondTheLimitSaysWhichLimit) {
  if (kAnySanitizer) GTEST_SKIP() << "sanitizers make mlock a no-op";
  auto arena = Arena::Reserve(RealSpec({{PageKind::k4K, kMiB}}));
  ASSERT_TRUE(arena);
  rlimit old_limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 16 * kKiB;
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  Status locked;
  std::thread([&] {
    // Root may lock what it likes; the raw call makes this one thread somebody else.
    if (geteuid() == 0) syscall(SYS_setresuid, -1, 65534, -1);
    locked = arena->Lock();
  }).join();
  setrlimit(RLIMIT_MEMLOCK, &old_limit);
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code, ErrorCode::kResource);
  EXPECT_THAT(locked.error().message, HasSubstr("RLIMIT_MEMLOCK"));
  EXPECT_THAT(locked.error().fix, HasSubstr("ulimit -l"));
}

TEST(Arena, AdoptsAMappingAndUnmapsIt) {
  void* mapped = mmap(nullptr, 64 * kKiB, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* const data = static_cast<std::byte*>(mapped);
  {
    Arena arena = Arena::Adopt({data, 64 * kKiB}, PageKind::k4K);
    EXPECT_EQ(arena.data(), data);
    EXPECT_THAT(arena.got(), ElementsAre(PageTile{PageKind::k4K, 64 * kKiB}));
    EXPECT_TRUE(arena.Seal());
    EXPECT_EQ(PermissionsAt(data), "r--s");
  }
  EXPECT_EQ(PermissionsAt(data), "");
}

}  // namespace
}  // namespace llmrun
