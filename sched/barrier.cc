#include "sched/barrier.h"

namespace llmrun {

void Barrier::ArriveAndWait() {
  // Read before arriving: afterwards the generation may already have ended.
  const uint32_t generation = generation_.Load();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < members_) {
    generation_.AwaitChange(generation, spin_ns_);
    return;
  }
  // The last one. Nobody arrives again before seeing the new generation, so the reset is safe.
  arrived_.store(0, std::memory_order_relaxed);
  generation_.Advance();
}

}  // namespace llmrun
