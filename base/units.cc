#include "base/units.h"

#include <fmt/format.h>

namespace llmrun {

std::string FormatBytes(uint64_t bytes) {
  if (bytes < kKiB) return fmt::format("{} B", bytes);
  const double value = static_cast<double>(bytes);
  if (bytes < kMiB) return fmt::format("{:.1f} KiB", value / static_cast<double>(kKiB));
  if (bytes < kGiB) return fmt::format("{:.1f} MiB", value / static_cast<double>(kMiB));
  return fmt::format("{:.2f} GiB", value / static_cast<double>(kGiB));
}

std::string FormatRate(uint64_t bytes, double seconds) {
  if (!(seconds > 0)) return "-";
  const double per_second = static_cast<double>(bytes) / seconds;
  if (per_second >= 1e8) return fmt::format("{:.2f} GB/s", per_second * 1e-9);
  return fmt::format("{:.1f} MB/s", per_second * 1e-6);
}

std::string FormatSeconds(double seconds) {
  if (seconds < 1.0) return fmt::format("{:.2f} ms", seconds * 1e3);
  if (seconds < 60.0) return fmt::format("{:.2f} s", seconds);
  const auto whole = static_cast<uint64_t>(seconds);
  return fmt::format("{} m {:02} s", whole / 60, whole % 60);
}

}  // namespace llmrun
