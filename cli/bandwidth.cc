#include "cli/bandwidth.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "base/stopwatch.h"
#include "base/units.h"
#include "memory/arena.h"
#include "sched/barrier.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

constexpr int kPasses = 6;

}  // namespace

uint64_t SumWords(std::span<const std::byte> bytes) {
  // Four independent sums, so that the loop waits for memory and not for its own additions.
  constexpr size_t kWords = 32;
  uint64_t sums[4] = {0, 0, 0, 0};
  size_t at = 0;
  for (; at + sizeof(uint64_t) * kWords <= bytes.size(); at += sizeof(uint64_t) * kWords) {
    uint64_t words[kWords];
    std::memcpy(words, bytes.data() + at, sizeof words);
    for (size_t j = 0; j < kWords; ++j) sums[j / 8] += words[j];
  }
  for (; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
    sums[0] += word;
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

Result<double> MeasureReadBandwidth(ThreadPool& pool, uint64_t bytes, const NodeSet& nodes) {
  ArenaSpec spec;
  spec.tiles = PlanTiles({.bytes = bytes, .pages = HugePages::kThp});
  spec.nodes = nodes;
  ASSIGN_OR_RETURN(const Arena arena, Arena::Reserve(spec));
  if (!nodes.empty() && !arena.fallbacks().empty()) {
    const Fallback& refused = arena.fallbacks().front();
    return MakeFixableError(ErrorCode::kUnavailable, refused.fix, "memory on {}: {}", NameOf(nodes),
                            refused.why);
  }
  std::atomic<uint64_t> checksum = 0;  // keeps the reads
  double best_seconds = 1e9;
  Barrier together(pool.size(), kOwnCpuSpinNs);
  pool.Run([&](int member) {
    const Range range = StaticRange(static_cast<int64_t>(bytes), pool.size(), member, 32 * kKiB);
    for (int pass = 0; pass < kPasses; ++pass) {
      together.ArriveAndWait(member);
      const Stopwatch watch;
      checksum += SumWords({arena.data() + range.begin, static_cast<size_t>(range.size())});
      together.ArriveAndWait(member);
      if (member == 0) best_seconds = std::min(best_seconds, watch.Seconds());
    }
  });
  if (checksum.load() != 0) return MakeError(ErrorCode::kInternal, "fresh memory is not zero");
  return static_cast<double>(bytes) / best_seconds;
}

}  // namespace llmrun
