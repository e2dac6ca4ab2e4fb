// Lists of CPUs as the kernel and taskset(1) write them: "0-3,8,10-11", with a stride "0-15:2".
// Threads: Thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmrun {

inline constexpr unsigned kMostCpus = 65'536;  // as sched/affinity.h can pin to

// In the order given. kUsage, saying what is wrong with which part: nothing there, no number, a
// range that goes down, a stride of 0, a CPU twice, or one of kMostCpus and above.
Result<std::vector<unsigned>> ParseCpuList(std::string_view text);
// In the order given, without strides.
std::string FormatCpuList(std::span<const unsigned> cpus);

}  // namespace llmrun
