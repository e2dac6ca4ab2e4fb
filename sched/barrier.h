// A reusable barrier for a fixed team: nobody leaves before everybody has come.
//
// Threads: Thread-safe; exactly `members` threads take part, each arriving once a generation.
// What any member wrote before arriving is visible to all members after they leave.
#pragma once

#include <atomic>
#include <cstdint>

#include "sched/epoch.h"

namespace llmrun {

class Barrier {
 public:
  // Requires: members >= 1. spin_ns as in Epoch::AwaitChange.
  Barrier(int members, uint32_t spin_ns) : members_(members), spin_ns_(spin_ns) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  void ArriveAndWait();

 private:
  const int members_;
  const uint32_t spin_ns_;
  alignas(kNoSharingBytes) std::atomic<int> arrived_{0};
  Epoch generation_;
};

}  // namespace llmrun
