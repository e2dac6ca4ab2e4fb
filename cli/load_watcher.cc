#include "cli/load_watcher.h"

#include <nlohmann/json.hpp>

#include <chrono>

#include "base/stopwatch.h"
#include "cli/device_limit.h"
#include "cli/output.h"
#include "cli/report.h"

namespace llmrun {

LoadWatcher::LoadWatcher(Weights& weights, std::string report_path)
    : weights_(weights), thread_([this, path = std::move(report_path)] {
        Result<LoadReport> report = weights_.Finish();
        if (report) {
          report->device_bytes_per_s = KnownDeviceLimit(weights_.index(), DeviceLimitFile());
        }
        if (report && !path.empty()) {
          if (Status written = WriteJsonTo(ReportJson(*report), path); !written) {
            report = tl::unexpected<Error>(written.error());
          }
        }
        result_ = std::move(report);
        done_.Open();
      }) {}

LoadWatcher::~LoadWatcher() {
  if (!done_.IsOpen()) weights_.Cancel();
}

bool LoadWatcher::WaitFor(double seconds) const {
  const Stopwatch watch;
  while (!done_.IsOpen() && watch.Seconds() < seconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return done_.IsOpen();
}

const Result<LoadReport>& LoadWatcher::Wait() const {
  done_.Wait();
  return *result_;
}

}  // namespace llmrun
