// How fast the working members of a pool read memory together and do nothing else: the roof of
// whatever reads memory once.
// Threads: Single-thread, between two regions of the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sched/team.h"
#include "sched/thread_pool.h"

namespace llmrun {

// Reads all of it as fast as one core can, with what the processor prefetches by itself. The sum of
// its 8-byte words, so that nothing is left out.
uint64_t SumWords(std::span<const std::byte> bytes);
// The same, prefetching by instructions as well: 5 to 15 % faster on Zen 5.
uint64_t SumWordsAhead(std::span<const std::byte> bytes);

struct ReadArea {
  std::span<const std::byte> bytes;
  std::optional<unsigned> node;  // the NUMA node it lies on; nullopt: not known
};

// What each member of the team reads: of each area an equal run for those on its node, or, when
// nobody works there, for all who work. [members()], in the order of the areas.
std::vector<std::vector<std::span<const std::byte>>> ReadShares(const Team& team,
                                                                std::span<const ReadArea> areas);

// Bytes per second of the best of at least four passes over the areas, as many as `seconds` allow,
// in turn with and without prefetching by instructions.
// Of more than a GiB in all, a pass reads the first part of each area. Requires: bytes to read.
double MeasureReadRate(ThreadPool& pool, std::span<const ReadArea> areas, double seconds = 0.1);

}  // namespace llmrun
