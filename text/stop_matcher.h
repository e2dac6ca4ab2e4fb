// Finds stop strings in text that comes in pieces, wherever the pieces are cut: what may be the
// beginning of one is held back, and the string itself is never passed on.
// Threads: Thread-compatible.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llmrun {

class StopMatcher {
 public:
  // Empty strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  struct Output {
    std::string text;      // what can be shown now
    bool stopped = false;  // a stop string came; what stands before it is in `text`
  };
  Output Push(std::string_view bytes);
  std::string Flush();  // what was held back, when no more comes

 private:
  size_t HeldBack() const;

  std::vector<std::string> stops_;
  std::string pending_;
};

}  // namespace llmrun
