// What the benchmarks of barriers share: the sizes of the teams, and where their threads run.
// Threads: Thread-safe.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/machine.h"

namespace llmrun {

inline const Machine& ThisMachine() {
  static const Machine machine = DetectMachine().value();
  return machine;
}
// Whether each of so many threads has a CPU for itself.
inline bool Fit(int threads) { return threads <= ThisMachine().effective_cpus; }

// One for each thread; none where they do not fit, so that the kernel places them.
inline std::vector<unsigned> CpusToPin(int threads) {
  std::vector<unsigned> cpus;
  if (!Fit(threads)) return cpus;
  for (const Cpu& cpu : CpusForThreads(ThisMachine(), {}, static_cast<size_t>(threads))) {
    cpus.push_back(cpu.os_index);
  }
  return cpus;
}

// How many crossings are timed together, so that starting the team does not count.
inline int64_t BatchSize(int threads) { return Fit(threads) ? 10'000 : 1'000; }

inline int ThreadsOf(benchmark::State& state) {
  const auto threads = static_cast<int>(state.range(0));
  state.SetLabel(Fit(threads) ? "uncontended" : "oversubscribed");
  return threads;
}

inline void ForTeams(benchmark::internal::Benchmark* benchmark) {
  for (const int threads : {1, 2, 3, 4, 6, 8, 12, 16}) benchmark->Arg(threads);
  benchmark->ArgName("threads")->UseRealTime()->MinTime(0.05);
}

}  // namespace llmrun
