#include "sched/read_rate.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/check.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

constexpr uint64_t kMostPassBytes = kGiB;
constexpr uint64_t kLeastPassBytes = 16 * kMiB;  // so that beginning and end do not count
constexpr int kLeastPasses = 4;
constexpr size_t kAheadBytes = 4096;

uint64_t TotalBytes(std::span<const ReadArea> areas) {
  uint64_t bytes = 0;
  for (const ReadArea& area : areas) bytes += area.bytes.size();
  return bytes;
}

// The first parts of all areas that are too much for a pass.
std::vector<ReadArea> CutToPass(std::span<const ReadArea> areas) {
  std::vector<ReadArea> cut(areas.begin(), areas.end());
  const double kept =
      std::min(1.0, static_cast<double>(kMostPassBytes) / static_cast<double>(TotalBytes(areas)));
  for (ReadArea& area : cut) {
    const auto bytes = static_cast<size_t>(static_cast<double>(area.bytes.size()) * kept);
    area.bytes = area.bytes.first(std::min(bytes, area.bytes.size()));
  }
  return cut;
}

// Vectors spelt out, of a size that every processor of this architecture has: from a loop over
// words the compiler makes one that waits for its own additions, and larger vectors it keeps in
// memory.
template <bool kPrefetches>
uint64_t Sum(std::span<const std::byte> bytes) {
  using Words = uint64_t __attribute__((vector_size(16)));
  constexpr size_t kSums = 8;
  Words sums[kSums] = {};
  size_t at = 0;
  for (; at + sizeof sums <= bytes.size(); at += sizeof sums) {
    if constexpr (kPrefetches) {
      __builtin_prefetch(bytes.data() + at + kAheadBytes);
      __builtin_prefetch(bytes.data() + at + kAheadBytes + sizeof sums / 2);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < kSums; ++i) {
      Words words;
      std::memcpy(&words, bytes.data() + at + i * sizeof words, sizeof words);
      sums[i] += words;
    }
  }
  uint64_t sum = 0;
  for (const Words& words : sums) sum += words[0] + words[1];
  for (; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
    sum += word;
  }
  return sum;
}

}  // namespace

uint64_t SumWords(std::span<const std::byte> bytes) { return Sum<false>(bytes); }
uint64_t SumWordsAhead(std::span<const std::byte> bytes) { return Sum<true>(bytes); }

std::vector<std::vector<std::span<const std::byte>>> ReadShares(const Team& team,
                                                                std::span<const ReadArea> areas) {
  std::vector<std::vector<std::span<const std::byte>>> shares(static_cast<size_t>(team.members()));
  for (const ReadArea& area : areas) {
    std::vector<int> near;
    std::vector<int> all;
    for (int member = 0; member < team.members(); ++member) {
      if (!team.works(member)) continue;
      all.push_back(member);
      if (area.node.has_value() && team.node(member) == area.node) near.push_back(member);
    }
    const std::vector<int>& readers = near.empty() ? all : near;
    const auto n_readers = static_cast<int>(readers.size());
    for (int i = 0; i < n_readers; ++i) {
      const Range range = StaticRange(static_cast<int64_t>(area.bytes.size()), n_readers, i, 64);
      shares[static_cast<size_t>(readers[static_cast<size_t>(i)])].push_back(
          area.bytes.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size())));
    }
  }
  return shares;
}

double MeasureReadRate(ThreadPool& pool, std::span<const ReadArea> areas, double seconds) {
  CHECK(TotalBytes(areas) > 0);
  const std::vector<ReadArea> cut = CutToPass(areas);
  const auto shares = ReadShares(*pool.team(), cut);
  const uint64_t bytes = TotalBytes(cut);
  const uint64_t times = (kLeastPassBytes + bytes - 1) / bytes;
  std::atomic<uint64_t> checksum = 0;  // keeps the reads
  double best_seconds = 1e9;
  const Stopwatch all;
  for (int pass = 0; pass < kLeastPasses || all.Seconds() < seconds; ++pass) {
    // Which is faster depends on the processor.
    const auto read = pass % 2 == 0 ? SumWords : SumWordsAhead;
    const Stopwatch watch;
    pool.Run([&](int member) {
      uint64_t sum = 0;
      for (uint64_t i = 0; i < times; ++i) {
        for (const auto& share : shares[static_cast<size_t>(member)]) sum += read(share);
      }
      checksum += sum;
    });
    best_seconds = std::min(best_seconds, watch.Seconds());
  }
  return static_cast<double>(bytes * times) / best_seconds;
}

}  // namespace llmrun
