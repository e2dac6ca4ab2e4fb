// What one crossing costs when everybody is there: our barrier, std::barrier, and one that only
// spins, on as many threads; and an empty region of the pool.
#include <benchmark/benchmark.h>

#include <atomic>
#include <barrier>

#include "sched/barrier.h"
#include "sched/cpu_relax.h"
#include "sched/thread_pool.h"

namespace llmrun {
namespace {

constexpr int kCrossings = 1000;

class SpinBarrier {
 public:
  explicit SpinBarrier(int members) : members_(members) {}
  void ArriveAndWait() {
    const uint32_t generation = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    while (generation_.load(std::memory_order_acquire) == generation) CpuRelax();
  }

 private:
  const int members_;
  alignas(128) std::atomic<int> arrived_{0};
  alignas(128) std::atomic<uint32_t> generation_{0};
};

// cross(member) is one crossing.
template <typename Cross>
void Measure(benchmark::State& state, Cross cross) {
  ThreadPoolOptions options;
  options.threads = static_cast<int>(state.range(0));
  options.effective_cpus = 2;
  const auto pool = ThreadPool::Create(options).value();
  for (auto _ : state) {
    pool->Run([&](int member) {
      for (int i = 0; i < kCrossings; ++i) cross(member);
    });
  }
  state.SetItemsProcessed(state.iterations() * kCrossings);
  state.counters["crossing"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kCrossings,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void OurBarrier(benchmark::State& state) {
  const auto threads = static_cast<int>(state.range(0));
  Barrier barrier(threads, threads > 2 ? 0 : 20'000);
  Measure(state, [&](int member) { barrier.ArriveAndWait(member); });
}

void StdBarrier(benchmark::State& state) {
  std::barrier<> barrier(state.range(0));
  Measure(state, [&](int /*member*/) { barrier.arrive_and_wait(); });
}

void PureSpin(benchmark::State& state) {
  SpinBarrier barrier(static_cast<int>(state.range(0)));
  Measure(state, [&](int /*member*/) { barrier.ArriveAndWait(); });
}

void EmptyRegion(benchmark::State& state) {
  ThreadPoolOptions options;
  options.threads = static_cast<int>(state.range(0));
  options.effective_cpus = 2;
  const auto pool = ThreadPool::Create(options).value();
  for (auto _ : state) pool->Run([](int) {});
}

BENCHMARK(OurBarrier)->Arg(2)->Arg(4)->Arg(8)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(StdBarrier)->Arg(2)->Arg(4)->Arg(8)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(PureSpin)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(EmptyRegion)->Arg(1)->Arg(2)->Arg(8)->UseRealTime()->Unit(benchmark::kNanosecond);

}  // namespace
}  // namespace llmrun
