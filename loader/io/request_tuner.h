// Finds how large requests should be and how many should be in flight, while loading: measures the
// present setting over a window of bytes, tries its neighbours (half and double of each), moves to
// one that is clearly faster, and settles when none is.
//
// Pure: told what landed and when. Threads: Thread-safe: rings that share a device share a tuner.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace llmrun {

class RequestTuner {
 public:
  struct Setting {
    uint64_t request_bytes = 4ULL << 20;
    uint32_t depth = 16;
    bool operator==(const Setting&) const = default;
  };
  struct Bounds {
    Setting least = {2ULL << 20, 4};
    Setting most = {16ULL << 20, 64};
    uint64_t window_bytes = 128ULL << 20;
  };

  // `total_bytes`: of the whole load; too few to measure anything with keep the start.
  RequestTuner(Setting start, Bounds bounds, uint64_t total_bytes);

  Setting current() const {
    const std::lock_guard lock(mutex_);
    return trying_;
  }
  bool settled() const {
    const std::lock_guard lock(mutex_);
    return settled_;
  }
  void Landed(uint64_t bytes, double now_s);

 private:
  void EndWindow(double rate);
  void TryNeighbours();
  void TryNext();

  mutable std::mutex mutex_;  // guards what follows
  const Bounds bounds_;
  Setting best_;
  double best_rate_ = 0;
  Setting trying_;
  std::vector<Setting> untried_;
  std::vector<Setting> tried_;
  bool settled_ = false;
  uint64_t skip_bytes_ = 0;    // asked for under an earlier setting: not counted
  uint64_t window_bytes_ = 0;  // landed in this window
  double window_begin_s_ = -1;
};

}  // namespace llmrun
