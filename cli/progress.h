// A progress bar on stderr when that is a terminal, nothing otherwise:
//   load  [#########-------]  41.2 GiB / 72.9 GiB  11.80 GB/s  ETA 2.70 s
// Redrawn at most ten times a second, removed when finished.
// Threads: Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace llmrun {

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `seconds` since the beginning. Clears the bar when all is done.
  void Update(uint64_t bytes_done, uint64_t bytes_total, double seconds);
  // Takes the bar off the terminal; before printing anything else.
  void Clear();

 private:
  const std::string label_;
  const bool enabled_;
  std::mutex mutex_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_draw_;
};

}  // namespace llmrun
