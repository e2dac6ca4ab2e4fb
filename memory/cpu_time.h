// Processor time: what this process used, and what a hypervisor took from the whole machine (steal
// in /proc/stat: the CPU would have run, and its host ran something else, such as the virtual
// disk). Source: proc_stat(5). Threads: Thread-safe.
#pragma once

#include <optional>
#include <string_view>

namespace llmrun {

double ProcessCpuSeconds();  // user + system

// Of all CPUs together since the machine started, in steps of a tick (10 ms); nullopt where the
// kernel does not tell.
std::optional<double> StolenCpuSeconds();

// The same from the text of /proc/stat.
std::optional<double> ParseStolenSeconds(std::string_view stat, double ticks_per_second);

}  // namespace llmrun
