// A one-way gate: closed, then open for ever. Waiting sleeps on a futex; asking is one load.
// Threads: Thread-safe. Everything written before Open() is visible after IsOpen()/Wait().
#pragma once

#include <atomic>
#include <cstdint>

namespace llmrun {

class Latch {
 public:
  bool IsOpen() const { return state_.load(std::memory_order_acquire) == kOpen; }
  void Wait() const {
    for (uint32_t s = state_.load(std::memory_order_acquire); s != kOpen;
         s = state_.load(std::memory_order_acquire)) {
      state_.wait(s, std::memory_order_acquire);
    }
  }
  void Open() {
    state_.store(kOpen, std::memory_order_release);
    state_.notify_all();
  }

 private:
  static constexpr uint32_t kOpen = 1;
  std::atomic<uint32_t> state_{0};
};

}  // namespace llmrun
