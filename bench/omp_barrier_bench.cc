// What one crossing of OpenMP's barrier costs (g++: libgomp), as bench/barrier_bench.cc asks it of
// others.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "bench/crossings.h"
#include "sched/affinity.h"

namespace llmrun {
namespace {

void Measure(benchmark::State& state) {
  const int threads = ThreadsOf(state);
  const int64_t batch = BatchSize(threads);
  const std::vector<unsigned> cpus = CpusToPin(threads);
  std::atomic<size_t> next{0};
#pragma omp parallel num_threads(threads)
  if (!cpus.empty()) (void)PinToCpu(ThisThreadId(), cpus[next.fetch_add(1)]);
  while (state.KeepRunningBatch(batch)) {
#pragma omp parallel num_threads(threads)
    for (int64_t i = 0; i < batch; ++i) {
#pragma omp barrier
    }
  }
}

// In a thread of its own: with it ends its team, which would go on spinning for a while.
void OpenMp(benchmark::State& state) { std::thread(Measure, std::ref(state)).join(); }

BENCHMARK(OpenMp)->Name("crossing/openmp")->Apply(ForTeams);

}  // namespace
}  // namespace llmrun
