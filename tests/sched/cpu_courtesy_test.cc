#include "sched/cpu_courtesy.h"

#include <gtest/gtest.h>

namespace llmrun {
namespace {

constexpr int64_t kMs = 1'000'000;

// A thread on a CPU that it shares: it runs for so long, then a neighbour does, unless it yields
// before, which lets the neighbour run at once.
struct SharedCpu {
  static inline int64_t now_ns = 0;
  static inline int64_t preemptions = 0;
  static inline int64_t yields = 0;
  static inline int64_t left_ns = 0;  // of our time on the CPU
  static inline int64_t ours_ns = 0;  // how long we are let run; 0: there is no neighbour
  static inline int64_t neighbours_ns = 0;
  static inline int64_t in_work = 0;  // preemptions during work

  static void Reset(int64_t ours, int64_t neighbours) {
    now_ns = kMs;
    preemptions = yields = in_work = 0;
    left_ns = ours_ns = ours;
    neighbours_ns = neighbours;
  }
  static void Run(int64_t ns) {
    now_ns += ns;
    if (ours_ns == 0) return;
    left_ns -= ns;
    if (left_ns > 0) return;
    ++preemptions;
    ++in_work;
    now_ns += neighbours_ns;
    left_ns = ours_ns;
  }
  static void Yield() {
    ++yields;
    if (ours_ns == 0) return;
    ++preemptions;
    now_ns += neighbours_ns;
    left_ns = ours_ns;
  }
  static constexpr CpuCourtesy::Calls kCalls = {[] { return now_ns; }, [] { return preemptions; },
                                                Yield};
};

// Pieces of 0.1 ms.
void WorkFor(CpuCourtesy& courtesy, int pieces) {
  for (int i = 0; i < pieces; ++i) {
    courtesy.Offer();
    courtesy.Begin();
    SharedCpu::Run(kMs / 10);
    courtesy.End();
  }
}

TEST(CpuCourtesy, AloneItNeverYields) {
  SharedCpu::Reset(0, 0);
  CpuCourtesy courtesy(SharedCpu::kCalls);
  WorkFor(courtesy, 10'000);
  EXPECT_EQ(SharedCpu::yields, 0);
}

TEST(CpuCourtesy, LearnsToYieldBeforeItIsPreempted) {
  for (const int64_t ours_ns : {4 * kMs, kMs}) {
    SharedCpu::Reset(ours_ns, 4 * kMs);
    CpuCourtesy courtesy(SharedCpu::kCalls);
    WorkFor(courtesy, 500);
    const int64_t learning = SharedCpu::in_work;
    EXPECT_LE(learning, 6);
    WorkFor(courtesy, 10'000);
    EXPECT_EQ(SharedCpu::in_work, learning) << "no piece was interrupted any more";
    EXPECT_GT(SharedCpu::yields, 200);
  }
}

TEST(CpuCourtesy, StopsWhenTheNeighbourIsGone) {
  SharedCpu::Reset(4 * kMs, 4 * kMs);
  CpuCourtesy courtesy(SharedCpu::kCalls);
  WorkFor(courtesy, 1000);
  SharedCpu::ours_ns = 0;
  const int64_t before = SharedCpu::yields;
  WorkFor(courtesy, 10'000);
  EXPECT_EQ(SharedCpu::yields - before, 1);
}

// One long piece may have been interrupted; the kernel, which is asked, says it was not.
TEST(CpuCourtesy, LongWorkIsNoPreemption) {
  SharedCpu::Reset(0, 0);
  CpuCourtesy courtesy(SharedCpu::kCalls);
  for (int i = 0; i < 100; ++i) {
    courtesy.Offer();
    courtesy.Begin();
    SharedCpu::Run(20 * kMs);
    courtesy.End();
  }
  EXPECT_EQ(SharedCpu::yields, 0);
}

}  // namespace
}  // namespace llmrun
