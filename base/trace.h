// What happened when, as named spans on named tracks: the timeline behind `--trace FILE`. A null
// log costs one comparison.
//
// Threads: Add() is Thread-safe; Take() is for when the work is over.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/stopwatch.h"

namespace llmrun {

struct TraceSpan {
  std::string track;  // "reads", "pages", "compute", ...
  std::string name;
  double begin_s = 0;  // since the log was made
  double end_s = 0;
};

class TraceLog {
 public:
  double Now() const { return since_start_.Seconds(); }
  // A span that ends now. Spans of one track may overlap.
  void Add(std::string_view track, std::string name, double begin_s);
  std::vector<TraceSpan> Take();

 private:
  const Stopwatch since_start_;
  std::mutex mutex_;
  std::vector<TraceSpan> spans_;  // guarded by mutex_
};

}  // namespace llmrun
