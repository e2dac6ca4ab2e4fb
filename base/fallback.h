// A request that was answered with something else. Nothing is ever silently slower: each fall-back
// is one of these, shown once as one line and kept in the load report.
#pragma once

#include <string>

namespace llmrun {

struct Fallback {
  std::string wanted;  // "1G pages"
  std::string got;     // "2M pages"
  std::string why;     // "node 0 has 0 free 1G pages, 3 needed"
  std::string fix;     // "sudo llm-run hugepages reserve --size=1G --count=3"; may be empty

  // "wanted X, got Y: why; fix: ..."
  std::string OneLine() const;
};

}  // namespace llmrun
