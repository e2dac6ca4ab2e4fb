#include "sched/cpu_courtesy.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

namespace llmrun {
namespace {

// Work that takes longer may have been interrupted: then the kernel is asked.
constexpr int64_t kSuspectNs = 500'000;
// A thread that ran so long without being preempted is not preempted by a neighbour.
constexpr int64_t kMostBudgetNs = 3'000'000;
constexpr int64_t kLeastBudgetNs = 200'000;
// Who is back sooner was alone.
constexpr int64_t kAloneNs = 20'000;

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int64_t Preemptions() {
  rusage usage = {};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

void Yield() { ::sched_yield(); }

}  // namespace

CpuCourtesy::CpuCourtesy() : CpuCourtesy({NowNs, Preemptions, Yield}) {}

void CpuCourtesy::Begin() {
  begin_ns_ = calls_.now_ns();
  if (preemptions_ < 0) {
    preemptions_ = calls_.preemptions();
    resumed_ns_ = begin_ns_;
  }
}

int64_t CpuCourtesy::End() {
  const int64_t now_ns = calls_.now_ns();
  const int64_t took_ns = now_ns - begin_ns_;
  if (took_ns < kSuspectNs) return took_ns;
  const int64_t preemptions = calls_.preemptions();
  if (preemptions == preemptions_) return took_ns;
  preemptions_ = preemptions;
  // It ran since resumed_ns_ until some time in this work.
  const int64_t ran_ns = begin_ns_ - resumed_ns_;
  budget_ns_ = std::clamp(contended_ ? std::min(budget_ns_, ran_ns * 3 / 4) : kMostBudgetNs,
                          kLeastBudgetNs, kMostBudgetNs);
  contended_ = true;
  resumed_ns_ = now_ns;
  return took_ns;
}

void CpuCourtesy::YieldIfDue() {
  const int64_t now_ns = calls_.now_ns();
  if (now_ns - resumed_ns_ < budget_ns_) return;
  calls_.yield();
  preemptions_ = calls_.preemptions();
  resumed_ns_ = calls_.now_ns();
  contended_ = resumed_ns_ - now_ns >= kAloneNs;
}

}  // namespace llmrun
