#include "cli/bandwidth.h"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/stopwatch.h"
#include "base/units.h"
#include "memory/arena.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

constexpr uint64_t kBufferBytes = 512 * kMiB;
constexpr int kPasses = 6;

// Four independent sums, so that the loop waits for memory and not for its own additions.
uint64_t SumWords(const uint64_t* words, int64_t count) {
  uint64_t sums[4] = {0, 0, 0, 0};
  for (int64_t i = 0; i + 32 <= count; i += 32) {
    for (int j = 0; j < 32; ++j) sums[j / 8] += words[i + j];
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace

Result<double> MeasureReadBandwidth(ThreadPool& pool) {
  ArenaSpec spec;
  spec.tiles = PlanTiles({.bytes = kBufferBytes, .pages = HugePages::kThp});
  ASSIGN_OR_RETURN(const Arena arena, Arena::Reserve(spec));
  const auto* words = static_cast<const uint64_t*>(static_cast<const void*>(arena.data()));
  std::atomic<uint64_t> checksum = 0;  // keeps the reads
  double best_seconds = 1e9;
  for (int pass = 0; pass < kPasses; ++pass) {
    const Stopwatch watch;
    pool.Run([&](int member) {
      const Range range = StaticRange(kBufferBytes / sizeof(uint64_t), pool.size(), member, 4096);
      checksum.fetch_add(SumWords(words + range.begin, range.size()), std::memory_order_relaxed);
    });
    best_seconds = std::min(best_seconds, watch.Seconds());
  }
  if (checksum.load() != 0) return MakeError(ErrorCode::kInternal, "fresh memory is not zero");
  return static_cast<double>(kBufferBytes) / best_seconds;
}

}  // namespace llmrun
