#include "loader/load_report.h"

namespace llmrun {

double LoadReport::RemoteFraction() const {
  const uint64_t all_bytes = residency.PlacedBytes();
  if (all_bytes == 0) return 0;
  return static_cast<double>(remote_bytes) / static_cast<double>(all_bytes);
}

}  // namespace llmrun
