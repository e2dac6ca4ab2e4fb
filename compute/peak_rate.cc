#include "compute/peak_rate.h"

#include <algorithm>
#include <atomic>

#include "base/stopwatch.h"

namespace llmrun {
namespace {

constexpr double kRunSeconds = 2e-3;  // long against what it takes to begin together
constexpr int kLeastRuns = 16;
constexpr int64_t kMostRounds = int64_t{1} << 27;

auto PeakFunction(const Kernels& kernels, PeakOf of) {
  switch (of) {
    case kPeakInt8:
      return kernels.peak_int8;
    case kPeakF32:
      return kernels.peak_f32;
    default:
      return kernels.peak_bf16;
  }
}

}  // namespace

PeakOf PeakOfType(DType type) {
  if (UsesQuantizedActivations(type)) return kPeakInt8;
  return type == DType::kBF16 ? kPeakBf16 : kPeakF32;
}

double MeasurePeakRate(ThreadPool& pool, const Kernels& kernels, PeakOf of, double seconds) {
  const auto peak = PeakFunction(kernels, of);
  const Team& team = *pool.team();
  int64_t rounds = 1024;
  double best = 0;
  const Stopwatch all;
  for (int run = 0; run < kLeastRuns || all.Seconds() < seconds; ++run) {
    std::atomic<int64_t> macs = 0;
    const Stopwatch watch;
    pool.Run([&](int member) {
      if (team.works(member)) macs += peak(rounds);
    });
    const auto done = static_cast<double>(macs.load());
    best = std::max(best, done / watch.Seconds());
    // By what it takes when nobody disturbs it.
    if (done / best < kRunSeconds) rounds = std::min(2 * rounds, kMostRounds);
  }
  return best;
}

}  // namespace llmrun
