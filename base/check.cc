#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace llmrun {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "llm-run: internal error at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace llmrun
