#include "sched/thread_tuner.h"

#include <algorithm>
#include <cstddef>

#include "base/check.h"

namespace llmrun {
namespace {

constexpr int kBlockTokens = 3;
constexpr int kDecidingRounds = 3;
constexpr int kMostRounds = 2 * kDecidingRounds - 1;
static_assert(ThreadTuner::kMostTokensOfTrial == (2 * kMostRounds + 1) * kBlockTokens);

}  // namespace

ThreadTuner::ThreadTuner(int most) : most_(most), best_(most) {
  CHECK(most >= 1);
  TryFewer();
}

void ThreadTuner::TryFewer() {
  fewer_ = best_ >= kFewestTried ? best_ * 3 / 4 : best_;
  ratios_.clear();
  best_seconds_ = 0;
}

void ThreadTuner::Add(double seconds) {
  if (settled()) return;
  ++tokens_;
  if (tokens_ == 2) seconds_ = seconds;
  if (tokens_ > 2) seconds_ = std::min(seconds_, seconds);
  if (tokens_ < kBlockTokens) return;
  tokens_ = 0;
  EndBlock();
}

void ThreadTuner::EndBlock() {
  if (trying_) {
    trying_ = false;
    fewer_seconds_ = seconds_;
    return;
  }
  const double before = best_seconds_;
  best_seconds_ = seconds_;
  if (before > 0) EndRound(fewer_seconds_ / std::min(before, seconds_));
  trying_ = !settled() && best_seconds_ > 0;
}

void ThreadTuner::EndRound(double ratio) {
  ratios_.push_back(ratio);
  const auto won = std::ranges::count_if(ratios_, [](double r) { return r <= kFaster; });
  const auto lost = static_cast<std::ptrdiff_t>(ratios_.size()) - won;
  if (lost == kDecidingRounds) fewer_ = best_;
  if (won < kDecidingRounds) return;
  // The median: a round won, since those are more than half.
  std::ranges::sort(ratios_);
  speedup_ /= ratios_[ratios_.size() / 2];
  best_ = fewer_;
  TryFewer();
}

}  // namespace llmrun
