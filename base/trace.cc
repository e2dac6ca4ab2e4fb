#include "base/trace.h"

#include <utility>

namespace llmrun {

void TraceLog::Add(std::string_view track, std::string name, double begin_s) {
  TraceSpan span{std::string(track), std::move(name), begin_s, Now()};
  const std::lock_guard lock(mutex_);
  spans_.push_back(std::move(span));
}

std::vector<TraceSpan> TraceLog::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(spans_, {});
}

}  // namespace llmrun
