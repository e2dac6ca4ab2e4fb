// Tells the user's callback how far a load is, not more often than it can be read.
//
// Threads: Add() is Thread-safe; the others belong to the loading thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/stopwatch.h"
#include "loader/load_options.h"

namespace llmrun {

class ProgressMeter {
 public:
  using Callback = std::function<void(const LoadProgress&)>;
  ProgressMeter(Callback callback, uint64_t bytes_total, Stopwatch since_start)
      : callback_(std::move(callback)), bytes_total_(bytes_total), since_start_(since_start) {}

  void Add(uint64_t bytes) { bytes_done_.fetch_add(bytes, std::memory_order_relaxed); }
  // Calls back when the last call is long enough ago.
  void Tick() {
    if (!callback_ || since_start_.Seconds() - last_seconds_ < kIntervalSeconds) return;
    Tell();
  }
  // The last call.
  void End() {
    if (callback_) Tell();
  }

 private:
  static constexpr double kIntervalSeconds = 0.05;

  void Tell() {
    last_seconds_ = since_start_.Seconds();
    callback_({bytes_done_.load(std::memory_order_relaxed), bytes_total_, last_seconds_});
  }

  const Callback callback_;
  const uint64_t bytes_total_;
  const Stopwatch since_start_;
  std::atomic<uint64_t> bytes_done_{0};
  double last_seconds_ = 0;
};

}  // namespace llmrun
