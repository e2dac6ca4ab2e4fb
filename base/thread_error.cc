#include "base/thread_error.h"

namespace llmrun {

tl::unexpected<Error> ThreadError(const std::system_error& error, std::string_view what) {
  return MakeFixableError(ErrorCode::kResource,
                          "fewer threads (-t), or higher limits (ulimit -u, ulimit -v, pids.max)",
                          "{}: {}", what, error.code().message());
}

}  // namespace llmrun
