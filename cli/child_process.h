// Another program, run to its end: the tools that measure and draw beside us.
//
// Threads: Single-thread. The program gets nothing on stdin; what it prints is kept, not shown.
// Failure: kOs when it cannot be started; its own failure is its exit code. When the user
// interrupts us the program is asked to end, too.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmrun {

// The executable file that PATH leads to.
std::optional<std::string> FindProgram(std::string_view name);

struct ChildResult {
  int exit_code = -1;  // -1: a signal ended it
  std::string out;     // the first MiB of each
  std::string err;
};

// `args[0]` is the program's path; `variables` ("NAME=value") are added to our environment.
// `meanwhile`, when set, is called with the process id every few milliseconds until it ends.
Result<ChildResult> RunChild(const std::vector<std::string>& args,
                             const std::vector<std::string>& variables = {},
                             const std::function<void(pid_t)>& meanwhile = {});

// The first line of what it said about its failure, or its exit code.
std::string WhyChildFailed(const ChildResult& result);

}  // namespace llmrun
