#include "cli/stop_text.h"

#include <algorithm>
#include <cstddef>

namespace llmrun {

std::string StopText::Push(std::string_view text) {
  if (stopped_) return "";
  held_ += text;
  size_t ready = held_.size();
  if (!stop_.empty()) {
    const size_t found = held_.find(stop_);
    stopped_ = found != held_.npos;
    ready = std::min(found, held_.size());
    for (size_t n = std::min(stop_.size() - 1, held_.size()); !stopped_ && n > 0; --n) {
      if (!held_.ends_with(std::string_view(stop_).substr(0, n))) continue;
      ready = held_.size() - n;
      break;
    }
  }
  std::string shown = held_.substr(0, ready);
  held_.erase(0, stopped_ ? held_.size() : ready);
  return shown;
}

std::string StopText::Flush() { return std::exchange(held_, ""); }

}  // namespace llmrun
