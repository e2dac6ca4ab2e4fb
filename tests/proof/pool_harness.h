// The protocol of sched/thread_pool.cc between a caller and its members: regions of everybody,
// steps of a team, a member benched and called back, the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "sched/progress.h"
#include "sched/region_gate.h"
#include "tests/proof/simulate.h"

namespace llmrun::proof {

template <int members, typename Count = BasicProgress<RelacyWaiting>>
struct Pool : Harness<Pool<members, Count>, members> {
  template <typename T>
  using Atomic = RelacyWaiting::Atomic<T>;

  const std::unique_ptr<Count> start = std::make_unique<Count>();
  const std::unique_ptr<Count> bench = std::make_unique<Count>();
  const std::unique_ptr<Count> finished = std::make_unique<Count>();
  const std::unique_ptr<BasicRegionGate<RelacyWaiting>> gate =
      std::make_unique<BasicRegionGate<RelacyWaiting>>();
  Atomic<int> benched{0};  // whether the last member is
  Atomic<int> stopping{0};
  Data everybody;
  Data ran[members];
  uint32_t regions = 0;  // the caller's
  WaitSite end_site;

  void thread(unsigned index) {
    if (index != 0) {
      Work(static_cast<int>(index));
      return;
    }
    Run();
    Bench(true);
    RunSteps(true);
    Run();
    Bench(false);
    RunSteps(false);
    stopping.store(1, std::memory_order_relaxed);
    Signal(*start);
    Signal(*bench);
  }

  static void Signal(Count& count) { count.Add(1, count.Load() + 1); }

  void Work(int member) {
    WaitSite site;
    uint64_t started = 0;
    uint64_t called = 0;
    uint32_t last_region = 0;
    const auto on_bench = [&] {
      return member == members - 1 && benched.load(std::memory_order_relaxed) != 0;
    };
    while (true) {
      if (on_bench()) {
        bench->Await(called + 1, site);
        called = bench->Load();
      } else {
        start->Await(started + 1, site);
        started = start->Load();
      }
      if (stopping.load(std::memory_order_relaxed) != 0) return;
      if (!gate->TryEnter(&last_region)) continue;
      if (everybody.Get() != 0 || !on_bench()) Take(member);
      gate->Leave();
    }
  }

  void Take(int member) {
    ran[member].Set(ran[member].Get() + 1);
    if (everybody.Get() != 0) finished->Add(1, target.load(std::memory_order_relaxed));
  }
  Atomic<uint64_t> target{0};

  void OpenAndRun() {
    for (Data& count : ran) count.Set(0);
    const bool all = everybody.Get() != 0;
    target.store(finished->Load() + members, std::memory_order_relaxed);
    gate->Open(++regions);
    Signal(*start);
    if (all && benched.load(std::memory_order_relaxed) != 0) Signal(*bench);
    Take(0);
    if (all) finished->Await(target.load(std::memory_order_relaxed), end_site);
    gate->Close(end_site);
  }
  void Run() {
    everybody.Set(1);
    OpenAndRun();
    for (const Data& count : ran) Expect(count.Get() == 1);
  }
  void RunSteps(bool last_is_benched) {
    everybody.Set(0);
    OpenAndRun();
    for (const Data& count : ran) Expect(count.Get() <= 1);
    if (last_is_benched) Expect(ran[members - 1].Get() == 0);
  }
  void Bench(bool last) {
    benched.store(last ? 1 : 0, std::memory_order_relaxed);
    Signal(*bench);
  }
};

}  // namespace llmrun::proof
