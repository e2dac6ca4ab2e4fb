// The memory orders of sched/, each weakened by one step.
#pragma once

#include <atomic>

#include "sched/progress.h"
#include "sched/region_gate.h"
#include "sched/team_progress.h"

namespace llmrun::proof {

// MUTANT(name, of, field, order): the orders `of` with one of them weaker.
#define MUTANT(name, of, field, order)                                    \
  struct name : of {                                                      \
    static constexpr std::memory_order field = std::memory_order_##order; \
    static_assert(of::field != field);                                    \
  }

MUTANT(WeakLook, ProgressOrders, kLook, relaxed);
MUTANT(WeakAdd, ProgressOrders, kAdd, acq_rel);
MUTANT(WeakAnySleeper, ProgressOrders, kAnySleeper, acquire);
MUTANT(WeakAnnounce, ProgressOrders, kAnnounce, acq_rel);
MUTANT(WeakLastLook, ProgressOrders, kLastLook, acquire);
MUTANT(WeakTicket, ProgressOrders, kTicket, relaxed);
MUTANT(WeakWake, ProgressOrders, kWake, relaxed);

MUTANT(WeakOpen, RegionGateOrders, kOpen, relaxed);
MUTANT(WeakEnter, RegionGateOrders, kEnter, relaxed);
MUTANT(LeaveWithoutRelease, RegionGateOrders, kLeave, acquire);
MUTANT(LeaveWithoutAcquire, RegionGateOrders, kLeave, release);
MUTANT(WeakClose, RegionGateOrders, kClose, relaxed);

MUTANT(GroupAddWithoutRelease, TeamProgressOrders, kGroupAdd, acquire);
MUTANT(GroupAddWithoutAcquire, TeamProgressOrders, kGroupAdd, release);

#undef MUTANT

}  // namespace llmrun::proof
