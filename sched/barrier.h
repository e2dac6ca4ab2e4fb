// A reusable barrier for a fixed team: nobody leaves before everybody has come. For lockstep, as in
// measurements; the work of a model goes in steps (sched/work_steps.h), which wait for less.
//
// Threads: Thread-safe; each of `members` threads takes part under its own number, arriving once a
// generation. What any member wrote before arriving is visible to all members after they leave.
#pragma once

#include <cstdint>
#include <memory>

#include "sched/team_progress.h"
#include "sched/wait_site.h"

namespace llmrun {

class Barrier {
 public:
  // Requires: members >= 1. most_spin_ns as in WaitSite.
  Barrier(int members, uint32_t most_spin_ns);
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  // Requires: 0 <= member < members.
  void ArriveAndWait(int member);

 private:
  struct alignas(kNoSharingBytes) Own {
    uint64_t generation = 0;
    WaitSite site;
  };

  const int members_;
  TeamProgress arrived_;
  const std::unique_ptr<Own[]> own_;  // [members]
};

}  // namespace llmrun
