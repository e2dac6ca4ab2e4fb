#include "loader/plan/hugepage_needs.h"

#include <vector>

#include "loader/load_options.h"
#include "loader/plan/placement_plan.h"

namespace llmrun {
namespace {

// The same machine after as many pages were reserved as anyone could want, so that the plan does
// not step down for want of them.
Machine WithFullPools(Machine machine) {
  for (NumaNode& node : machine.nodes) {
    node.pool_1g.free_pages = machine.total_bytes / PageBytes(PageKind::k1G) + 1;
    node.pool_2m.free_pages = machine.total_bytes / PageBytes(PageKind::k2M) + 1;
  }
  return machine;
}

uint64_t FreeInPool(const Machine& machine, unsigned node, PageKind kind) {
  for (const NumaNode& candidate : machine.nodes) {
    if (candidate.os_index != node) continue;
    return kind == PageKind::k1G ? candidate.pool_1g.free_pages : candidate.pool_2m.free_pages;
  }
  return 0;
}

}  // namespace

Result<HugePageNeeds> PlanHugePages(const TensorIndex& index, const Machine& machine,
                                    const HugePageWish& wish) {
  LoadOptions options;
  options.loader = LoaderKind::kRead;  // all that place weights place them alike
  options.hugepages = wish.kind == PageKind::k1G ? HugePages::k1G : HugePages::k2M;
  options.policy = wish.policy;
  options.numa = wish.numa;
  ASSIGN_OR_RETURN(const PlacementPlan plan,
                   PlanPlacement(index, WithFullPools(machine), options, {}));

  HugePageNeeds needs;
  needs.model = index.files().front().label;
  needs.numa = plan.numa;
  for (const ArenaPlan& arena : plan.arenas) {
    const NodeSet nodes =
        arena.nodes.empty() ? NodeSet{machine.nodes.front().os_index} : arena.nodes;
    needs.arena_bytes += arena.bytes;
    for (const PageTile& tile : arena.tiles) {
      if (!IsHugetlb(tile.kind)) {
        needs.other_bytes += tile.bytes;
        continue;
      }
      const uint64_t pages = tile.bytes / PageBytes(tile.kind);
      for (const unsigned node : nodes) {
        HugePageNeed need;
        need.change = {node, tile.kind, (pages + nodes.size() - 1) / nodes.size()};
        need.free_pages = FreeInPool(machine, node, tile.kind);
        needs.pools.push_back(need);
      }
    }
  }
  return needs;
}

}  // namespace llmrun
