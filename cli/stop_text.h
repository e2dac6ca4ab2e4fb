// Ends an answer at a text: what may be the beginning of that text is held back until it is known
// not to be.
// Threads: Single-thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace llmrun {

class StopText {
 public:
  explicit StopText(std::string stop) : stop_(std::move(stop)) {}  // empty: nothing stops

  std::string Push(std::string_view text);  // what can be shown now
  std::string Flush();                      // what was held back, when no more is to come
  bool stopped() const { return stopped_; }

 private:
  const std::string stop_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace llmrun
