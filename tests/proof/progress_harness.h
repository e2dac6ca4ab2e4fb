// Threads that use one or two counts of sched/progress.h in all the ways that sched/ does.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>

#include "sched/progress.h"
#include "tests/proof/simulate.h"

namespace llmrun::proof {

// Two hand one token back and forth: reuse, and data that goes with it.
template <typename Count>
struct PingPong : Harness<PingPong<Count>, 2> {
  static constexpr int kRounds = 2;
  const std::unique_ptr<Count> ping = std::make_unique<Count>();
  const std::unique_ptr<Count> pong = std::make_unique<Count>();
  Data token;

  void thread(unsigned index) {
    WaitSite site;
    for (int round = 1; round <= kRounds; ++round) {
      const auto target = static_cast<uint64_t>(round);
      if (index == 0) {
        token.Set(2 * round);
        ping->Add(1, target);
        pong->Await(target, site);
        Expect(token.Get() == 2 * round + 1);
      } else {
        ping->Await(target, site);
        Expect(token.Get() == 2 * round);
        token.Set(2 * round + 1);
        pong->Add(1, target);
      }
    }
  }
};

// Two add towards one target, as the members of a team; a third waits, and they for each other.
template <typename Count>
struct Arrivals : Harness<Arrivals<Count>, 3> {
  const std::unique_ptr<Count> count = std::make_unique<Count>();
  Data data[2];

  void thread(unsigned index) {
    WaitSite site;
    if (index < 2) {
      data[index].Set(7);
      count->Add(1, 2);
    }
    count->Await(2, site);
    for (const Data& seen : data) Expect(seen.Get() == 7);
  }
};

// Two raise in any order; one waits for both marks.
template <typename Count>
struct Raises : Harness<Raises<Count>, 3> {
  const std::unique_ptr<Count> count = std::make_unique<Count>();
  Data data;

  void thread(unsigned index) {
    WaitSite site;
    if (index == 0) {
      count->Raise(1);
    } else if (index == 1) {
      data.Set(7);
      count->Raise(2);
    } else {
      count->Await(1, site);
      count->Await(2, site);
      Expect(data.Get() == 7);
    }
    Expect(count->Load() <= 2);
  }
};

// What the ticket is for: the sleeper has announced itself before the count changes, so that the
// looks need not be seq_cst, and only the ticket says that the count that was looked at is old.
struct AnnouncedWaiting : RelacyWaiting {
  static inline rl::atomic<int>* announced = nullptr;

  static void FutexWait(const Atomic<uint32_t>& word, uint32_t expected) {
    if (announced->load(rl::mo_relaxed, RL_INFO) == 0) {
      announced->store(1, rl::mo_release, RL_INFO);  // and returns for no reason
    } else {
      word.Sleep(expected);
    }
  }
  template <typename Reached, typename Sleep>
  static void Wait(const Atomic<uint64_t>& /*value*/, const Reached& /*reached*/,
                   const Sleep& sleep, WaitSite& /*site*/) {
    sleep();
  }
};

template <typename Count>
struct Tickets : Harness<Tickets<Count>, 2> {
  rl::atomic<int> announced{0};
  const std::unique_ptr<Count> count = std::make_unique<Count>();
  Tickets() { AnnouncedWaiting::announced = &announced; }

  void thread(unsigned index) {
    WaitSite site;
    if (index == 0) {
      count->Await(1, site);
    } else {
      while (announced.load(rl::mo_acquire, RL_INFO) == 0) rl::ctx().yield(1, RL_INFO);
      count->Add(1, 1);
    }
  }
};

}  // namespace llmrun::proof
