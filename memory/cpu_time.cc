#include "memory/cpu_time.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>

#include "base/small_file.h"

namespace llmrun {

double ProcessCpuSeconds() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::optional<double> StolenCpuSeconds() {
  const long ticks = ::sysconf(_SC_CLK_TCK);
  if (ticks <= 0) return std::nullopt;
  return ParseStolenSeconds(SmallFileOrEmpty("/proc/stat"), static_cast<double>(ticks));
}

std::optional<double> ParseStolenSeconds(std::string_view stat, double ticks_per_second) {
  constexpr int kSteal = 8;  // user nice system idle iowait irq softirq steal
  std::string_view line = stat.substr(0, stat.find('\n'));
  if (!line.starts_with("cpu ")) return std::nullopt;
  for (int field = 0; field < kSteal; ++field) {
    const size_t word = line.find_first_not_of(' ', line.find(' '));
    if (word == std::string_view::npos) return std::nullopt;
    line.remove_prefix(word);
  }
  const std::optional<uint64_t> ticks = ParseNumber(line);
  if (!ticks) return std::nullopt;
  return static_cast<double>(*ticks) / ticks_per_second;
}

}  // namespace llmrun
