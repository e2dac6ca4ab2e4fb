#include "loader/io/request_tuner.h"

#include <algorithm>

namespace llmrun {
namespace {

// Less than this is noise, and not worth a change.
constexpr double kClearlyFaster = 1.05;
// Trying four neighbours, with what drains between them, must be a small part of the load.
constexpr uint64_t kWindowsWorthIt = 32;

}  // namespace

RequestTuner::RequestTuner(Setting start, Bounds bounds, uint64_t total_bytes)
    : bounds_(bounds),
      best_(start),
      trying_(start),
      tried_({start}),
      settled_(total_bytes / kWindowsWorthIt < bounds.window_bytes) {}

void RequestTuner::Landed(uint64_t bytes, double now_s) {
  const std::lock_guard lock(mutex_);
  if (settled_) return;
  if (skip_bytes_ > 0) {
    skip_bytes_ -= std::min(skip_bytes_, bytes);
    window_begin_s_ = now_s;
    return;
  }
  if (window_begin_s_ < 0) window_begin_s_ = now_s;
  window_bytes_ += bytes;
  if (window_bytes_ < bounds_.window_bytes || now_s <= window_begin_s_) return;
  EndWindow(static_cast<double>(window_bytes_) / (now_s - window_begin_s_));
}

void RequestTuner::EndWindow(double rate) {
  if (trying_ == best_) {
    best_rate_ = rate;
    TryNeighbours();
  } else if (rate > best_rate_ * kClearlyFaster) {
    best_ = trying_;
    best_rate_ = rate;
    TryNeighbours();
  }
  TryNext();
}

void RequestTuner::TryNeighbours() {
  untried_.clear();
  const Setting neighbours[] = {{best_.request_bytes, best_.depth * 2},
                                {best_.request_bytes, best_.depth / 2},
                                {best_.request_bytes * 2, best_.depth},
                                {best_.request_bytes / 2, best_.depth}};
  for (const Setting& s : neighbours) {
    const bool allowed = s.depth >= bounds_.least.depth && s.depth <= bounds_.most.depth &&
                         s.request_bytes >= bounds_.least.request_bytes &&
                         s.request_bytes <= bounds_.most.request_bytes;
    if (allowed && std::find(tried_.begin(), tried_.end(), s) == tried_.end()) {
      untried_.push_back(s);
    }
  }
}

void RequestTuner::TryNext() {
  skip_bytes_ = trying_.request_bytes * trying_.depth;
  window_bytes_ = 0;
  settled_ = untried_.empty();
  trying_ = settled_ ? best_ : untried_.front();
  if (settled_) return;
  untried_.erase(untried_.begin());
  tried_.push_back(trying_);
}

}  // namespace llmrun
