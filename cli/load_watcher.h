// Waits for a load on a thread of its own, so that the report is written the moment the load ends,
// also while the first prompt is already being computed.
// Threads: Single-thread but for the watcher's own thread. Must outlive it: weights.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"
#include "loader/weights.h"
#include "sched/latch.h"

namespace llmrun {

class LoadWatcher {
 public:
  // `report_path`: where the JSON report goes, "-" for stdout, empty for nowhere.
  LoadWatcher(Weights& weights, std::string report_path);

  ~LoadWatcher();  // a load that nobody waits for any more is cancelled

  // True once the load has ended and its report is written. Waits for that at most so long.
  bool WaitFor(double seconds) const;
  // Waits; the report, or why the load or the writing of its report failed.
  const Result<LoadReport>& Wait() const;

 private:
  Weights& weights_;
  Latch done_;
  std::optional<Result<LoadReport>> result_;
  std::jthread thread_;  // last: joins before the others go
};

}  // namespace llmrun
