#include "loader/mirror_copies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <vector>

#include "base/units.h"
#include "memory/arena.h"

namespace llmrun {
namespace {

std::vector<Arena> Arenas(size_t count, uint64_t bytes) {
  std::vector<Arena> arenas;
  for (size_t i = 0; i < count; ++i) {
    arenas.push_back(
        Arena::Reserve({.tiles = {{PageKind::k4K, bytes}}, .nodes = {}, .touch_later = true})
            .value());
  }
  return arenas;
}

TEST(MirrorCopies, EveryArenaHasEveryReadBeforeItArrives) {
  constexpr uint64_t kReads = 200;
  constexpr uint64_t kBytes = kReads * 8 * kKiB;
  std::vector<Arena> arenas = Arenas(4, kBytes);
  ReadPlan plan;
  for (uint64_t i = 0; i < kReads; ++i) {
    PlannedRead& read = plan.reads.emplace_back();
    read.bytes = 8 * kKiB;
    read.must_bytes = i + 1 == kReads ? 100 : 8 * kKiB;  // the file ends there
    read.arena_offset = (kReads - 1 - i) * 8 * kKiB;
  }
  std::vector<std::atomic<int>> arrived(kReads);
  std::atomic<int> different = 0;
  auto copies = MirrorCopies::Start({.reads = plan,
                                     .arenas = arenas,
                                     .cpus = {{}, {}, {}, {}},
                                     .threads = 2,
                                     .arrived = [&](size_t read) {
                                       ++arrived[read];
                                       const PlannedRead& r = plan.reads[read];
                                       for (const Arena& arena : arenas) {
                                         different += std::memcmp(arena.data() + r.arena_offset,
                                                                  arenas[0].data() + r.arena_offset,
                                                                  r.must_bytes) != 0;
                                       }
                                     }});
  ASSERT_TRUE(copies) << copies.error().OneLine();
  std::mt19937 random(7);
  for (uint64_t i = 0; i < kReads; ++i) {
    const PlannedRead& read = plan.reads[i];
    ASSERT_TRUE(arenas[0].EnsurePages(read.arena_offset, read.bytes));
    for (uint64_t b = 0; b < read.must_bytes; b += 64) {
      arenas[0].data()[read.arena_offset + b] = static_cast<std::byte>(random());
    }
    (*copies)->Landed(i);
  }
  const Status finished = (*copies)->Finish();
  ASSERT_TRUE(finished) << finished.error().OneLine();
  EXPECT_EQ(different, 0);
  for (const std::atomic<int>& count : arrived) EXPECT_EQ(count, 1);
}

TEST(MirrorCopies, EndsWithReadsStillToCome) {
  std::vector<Arena> arenas = Arenas(2, kMiB);
  ReadPlan plan;
  plan.reads.resize(2);
  auto copies = MirrorCopies::Start(
      {.reads = plan, .arenas = arenas, .cpus = {{}, {}}, .threads = 1, .arrived = [](size_t) {}});
  ASSERT_TRUE(copies);
  (*copies)->Landed(0);
  copies->reset();
}

}  // namespace
}  // namespace llmrun
