// What is taken of one member's home in a step, so that several can take pieces of it: each piece
// is a third of what is left (guided self-scheduling: Polychronopoulos and Kuck 1987), down to a
// twelfth of the home, or one grain. Pieces of four grains and more end at multiples of four:
// products of many tokens take 64 rows at a time. What is taken is stamped with the number of the
// step (and stage), so that nothing has to be reset between two.
//
// Threads: Thread-safe. Orders are relaxed: whoever takes a piece has seen the end of the step
// before by other means, and publishes what it writes by other means (sched/team_progress.h).
// Templates: as in sched/progress.h.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/check.h"
#include "sched/native_waiting.h"
#include "sched/partition.h"

namespace llmrun {

template <typename Platform>
class alignas(kNoSharingBytes) BasicPieceCursor {
 public:
  // A piece of this home that nobody has taken in this step; nullopt when there is none, or the
  // step is over. Requires: fewer than 2^24 grains; steps grow from 1.
  std::optional<Range> Take(uint64_t step, Range home, int64_t grain) {
    const int64_t grains = (home.size() + grain - 1) / grain;
    if (grains <= 0) return std::nullopt;
    CHECK(grains < int64_t{1} << kGrainBits);
    uint64_t seen = at_.load(std::memory_order_relaxed);
    while (true) {
      const uint64_t seen_step = seen >> kGrainBits;
      if (seen_step > step) return std::nullopt;
      const auto next =
          static_cast<int64_t>(seen_step == step ? seen & ((uint64_t{1} << kGrainBits) - 1) : 0);
      if (next >= grains) return std::nullopt;
      const int64_t rest = grains - next;
      const int64_t least = std::max<int64_t>(1, grains / kMostOfHome);
      int64_t end = next + std::min(rest, std::max(least, rest / kPiecesOfRest));
      if (end < grains && end - next >= kTogether) end -= end % kTogether;
      const uint64_t taken = step << kGrainBits | static_cast<uint64_t>(end);
      if (at_.compare_exchange_weak(seen, taken, std::memory_order_relaxed,
                                    std::memory_order_relaxed)) {
        return Range{home.begin + next * grain, std::min(home.begin + end * grain, home.end)};
      }
    }
  }

 private:
  static constexpr int kGrainBits = 24;
  static constexpr int64_t kPiecesOfRest = 3;
  // The beginning of a piece costs about a microsecond: with smaller ones decode of ternary types
  // takes 4 % longer.
  static constexpr int64_t kMostOfHome = 12;
  static constexpr int64_t kTogether = 4;

  typename Platform::template Atomic<uint64_t> at_{0};  // step << kGrainBits | grains taken
};

}  // namespace llmrun
