// What one crossing costs when everybody is there: our barrier, an empty step of work,
// std::barrier, that of pthreads, and one that only spins (OpenMP's: bench/omp_barrier_bench.cc);
// and an empty region of the pool.
#include <benchmark/benchmark.h>
#include <pthread.h>

#include <atomic>
#include <barrier>
#include <cstdint>
#include <memory>

#include "bench/crossings.h"
#include "sched/barrier.h"
#include "sched/cpu_relax.h"
#include "sched/thread_pool.h"
#include "sched/work_steps.h"

namespace llmrun {
namespace {

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

class PthreadBarrier {
 public:
  explicit PthreadBarrier(int members) {
    ::pthread_barrier_init(&barrier_, nullptr, static_cast<unsigned>(members));
  }
  ~PthreadBarrier() { ::pthread_barrier_destroy(&barrier_); }
  PthreadBarrier(const PthreadBarrier&) = delete;
  PthreadBarrier& operator=(const PthreadBarrier&) = delete;
  void ArriveAndWait() { ::pthread_barrier_wait(&barrier_); }

 private:
  pthread_barrier_t barrier_;
};

ThreadPoolOptions Options(int threads) {
  ThreadPoolOptions options;
  options.threads = threads;
  options.cpus = CpusToPin(threads);
  options.pin_caller = true;
  options.effective_cpus = ThisMachine().effective_cpus;
  return options;
}

std::unique_ptr<ThreadPool> MakePool(int threads) {
  return ThreadPool::Create(Options(threads)).value();
}

// cross(member) is one crossing.
template <typename Cross>
void Measure(benchmark::State& state, int64_t batch, const Cross& cross) {
  const auto pool = MakePool(ThreadsOf(state));
  while (state.KeepRunningBatch(batch)) {
    pool->Run([&](int member) {
      for (int64_t i = 0; i < batch; ++i) cross(member);
    });
  }
}

void OurBarrier(benchmark::State& state) {
  const int threads = ThreadsOf(state);
  Barrier barrier(threads, Fit(threads) ? Options(threads).spin_ns : 0);
  Measure(state, BatchSize(threads), [&](int member) { barrier.ArriveAndWait(member); });
}

void StdBarrier(benchmark::State& state) {
  const int threads = ThreadsOf(state);
  std::barrier<> barrier(threads);
  Measure(state, BatchSize(threads), [&](int /*member*/) { barrier.arrive_and_wait(); });
}

void Pthread(benchmark::State& state) {
  const int threads = ThreadsOf(state);
  PthreadBarrier barrier(threads);
  Measure(state, BatchSize(threads), [&](int /*member*/) { barrier.ArriveAndWait(); });
}

// Where threads share CPUs, a crossing takes as long as the kernel lets each of them spin.
void PureSpin(benchmark::State& state) {
  const int threads = ThreadsOf(state);
  SpinBarrier barrier(threads);
  Measure(state, Fit(threads) ? BatchSize(threads) : 10,
          [&](int /*member*/) { barrier.ArriveAndWait(); });
}

// One grain for each member. Nobody is waited for whose grain another did: `came` is how many
// members a step had.
void EmptyStep(benchmark::State& state) {
  const int threads = ThreadsOf(state);
  const int64_t batch = BatchSize(threads);
  const auto pool = MakePool(threads);
  const StepPlan plan = pool->team()->Deal(0, threads, 1);
  while (state.KeepRunningBatch(batch)) {
    pool->RunSteps([&](int member) {
      WorkSteps::Member self(pool->steps(), member);
      for (int64_t i = 0; i < batch; ++i) self.Step(plan, [](Range /*piece*/) {});
    });
  }
  uint64_t came = 0;
  for (int i = 0; i < threads; ++i) came += pool->steps().counts(i)[plan.zone].steps;
  state.counters["came"] = static_cast<double>(came) / static_cast<double>(state.iterations());
}

void EmptyRegion(benchmark::State& state) {
  const auto pool = MakePool(ThreadsOf(state));
  for (auto _ : state) pool->Run([](int) {});
}

void EmptyRegionOfSteps(benchmark::State& state) {
  const auto pool = MakePool(ThreadsOf(state));
  for (auto _ : state) pool->RunSteps([](int) {});
}

BENCHMARK(OurBarrier)->Name("crossing/Barrier")->Apply(ForTeams);
BENCHMARK(EmptyStep)->Name("crossing/WorkSteps")->Apply(ForTeams);
BENCHMARK(StdBarrier)->Name("crossing/std")->Apply(ForTeams);
BENCHMARK(Pthread)->Name("crossing/pthread")->Apply(ForTeams);
BENCHMARK(PureSpin)->Name("crossing/spin")->Apply(ForTeams);
BENCHMARK(EmptyRegion)->Name("region/Run")->Apply(ForTeams);
BENCHMARK(EmptyRegionOfSteps)->Name("region/RunSteps")->Apply(ForTeams);

}  // namespace
}  // namespace llmrun
