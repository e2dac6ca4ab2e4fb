#include "loader/load_report.h"

#include <algorithm>

namespace llmrun {

double LoadReport::RemoteFraction() const {
  uint64_t all_bytes = 0;
  uint64_t most_bytes = 0;
  for (const auto& [node, bytes] : residency.node_bytes) {
    all_bytes += bytes;
    most_bytes = std::max(most_bytes, bytes);
  }
  if (all_bytes == 0) return 0;
  return static_cast<double>(all_bytes - most_bytes) / static_cast<double>(all_bytes);
}

}  // namespace llmrun
