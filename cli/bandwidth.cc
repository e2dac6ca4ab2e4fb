#include "cli/bandwidth.h"

#include <cstdint>
#include <optional>
#include <span>

#include "memory/arena.h"
#include "sched/read_rate.h"

namespace llmrun {

Result<double> MeasureReadBandwidth(ThreadPool& pool, uint64_t bytes, const NodeSet& nodes) {
  ArenaSpec spec;
  spec.tiles = PlanTiles({.bytes = bytes, .pages = HugePages::kThp});
  spec.nodes = nodes;
  ASSIGN_OR_RETURN(const Arena arena, Arena::Reserve(spec));
  if (!nodes.empty() && !arena.fallbacks().empty()) {
    const Fallback& refused = arena.fallbacks().front();
    return MakeFixableError(ErrorCode::kUnavailable, refused.fix, "memory on {}: {}", NameOf(nodes),
                            refused.why);
  }
  const ReadArea area = {{arena.data(), static_cast<size_t>(bytes)}, std::nullopt};
  return MeasureReadRate(pool, std::span(&area, 1));
}

}  // namespace llmrun
