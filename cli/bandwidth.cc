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

// Vectors spelt out: from a loop over words the compiler makes one that waits for its own
// additions, a third as fast as the memory of a Zen 5 core.
uint64_t SumWords(std::span<const std::byte> bytes) {
  using Words = uint64_t __attribute__((vector_size(32)));
  constexpr size_t kSums = 4;
  Words sums[kSums] = {};
  size_t at = 0;
  for (; at + sizeof sums <= bytes.size(); at += sizeof sums) {
    for (size_t i = 0; i < kSums; ++i) {
      Words words;
      std::memcpy(&words, bytes.data() + at + i * sizeof words, sizeof words);
      sums[i] += words;
    }
  }
  const Words all = sums[0] + sums[1] + sums[2] + sums[3];
  uint64_t sum = all[0] + all[1] + all[2] + all[3];
  for (; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
    sum += word;
  }
  return sum;
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
