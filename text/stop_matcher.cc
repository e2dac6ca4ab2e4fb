#include "text/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace llmrun {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

// Bytes at the end of pending_ that are the beginning of a stop string: the longest such.
size_t StopMatcher::HeldBack() const {
  const std::string_view all = pending_;
  size_t held = 0;
  for (const std::string& stop : stops_) {
    size_t bytes = std::min(stop.size() - 1, all.size());
    while (bytes > held && !stop.starts_with(all.substr(all.size() - bytes))) --bytes;
    held = std::max(held, bytes);
  }
  return held;
}

StopMatcher::Output StopMatcher::Push(std::string_view bytes) {
  pending_ += bytes;
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, pending_.find(stop));
  Output out;
  out.stopped = first != std::string::npos;
  out.text = pending_.substr(0, out.stopped ? first : pending_.size() - HeldBack());
  pending_.erase(0, out.stopped ? pending_.size() : out.text.size());
  return out;
}

std::string StopMatcher::Flush() { return std::exchange(pending_, {}); }

}  // namespace llmrun
