#include "model/work_memory.h"

#include "base/units.h"

namespace llmrun {

Result<Arena> ReserveWorkMemory(uint64_t bytes, std::string_view what, std::string fix,
                                const NodeSet& nodes) {
  ArenaSpec spec;
  spec.tiles = PlanTiles({.bytes = bytes, .pages = HugePages::kThp});
  spec.nodes = nodes;
  Result<Arena> arena = Arena::Reserve(spec);
  if (arena) return arena;
  return MakeFixableError(arena.error().code, std::move(fix), "{} ({}): {}", what,
                          FormatBytes(bytes), arena.error().message);
}

}  // namespace llmrun
