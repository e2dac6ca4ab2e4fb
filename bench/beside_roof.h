// Benchmarks that are compared with what the machine can do at most, measured directly before and
// after each: memory reads at one of several speeds from one minute to the next. The fastest
// iteration stands beside the fastest pass of what is possible, so that less of what other programs
// took is in the percentages.
//   GB/s, %read      of reading the same memory with the same threads and doing nothing else
//   GMAC/s, %peak    of multiply-adds on registers at the same instruction set level
// Counters whose names begin with % are what bench/compare compares.
// Threads: Single-thread.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>

#include "base/stopwatch.h"
#include "compute/peak_rate.h"
#include "memory/dtype.h"
#include "sched/read_rate.h"
#include "sched/thread_pool.h"

namespace llmrun {

inline constexpr double kRoofSeconds = 0.03;

inline std::unique_ptr<ThreadPool> PinnedPool(int threads) {
  ThreadPoolOptions options;
  options.threads = threads;
  options.effective_cpus = threads;
  for (int i = 0; i < threads; ++i) options.cpus.push_back(static_cast<unsigned>(i));
  options.pin_caller = true;
  return ThreadPool::Create(options).value();
}

// `work` is one iteration, which does `amount`; `roof` measures how much is possible in a second.
template <typename Work, typename Roof>
void RunBeside(benchmark::State& state, const char* unit, const char* percent, double amount,
               const Work& work, const Roof& roof) {
  const double before = roof();
  double seconds = 1e9;  // of the fastest iteration, as the roof is of the fastest pass
  for (auto _ : state) {
    const Stopwatch watch;
    work();
    seconds = std::min(seconds, watch.Seconds());
  }
  const double rate = amount / seconds;
  const double most = std::max(before, roof());
  state.counters[unit] = rate * 1e-9;
  state.counters[percent] = 100 * rate / most;
}

template <typename Work>
void RunBesideRead(benchmark::State& state, ThreadPool& pool, std::span<const std::byte> bytes,
                   const Work& work) {
  const ReadArea area = {bytes, std::nullopt};
  RunBeside(state, "GB/s", "%read", static_cast<double>(bytes.size()), work,
            [&] { return MeasureReadRate(pool, std::span(&area, 1), kRoofSeconds); });
}

template <typename Work>
void RunBesidePeak(benchmark::State& state, ThreadPool& pool, const Kernels& kernels, PeakOf of,
                   double macs, const Work& work) {
  RunBeside(state, "GMAC/s", "%peak", macs, work,
            [&] { return MeasurePeakRate(pool, kernels, of, kRoofSeconds); });
}

}  // namespace llmrun
