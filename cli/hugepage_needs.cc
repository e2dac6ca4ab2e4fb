#include "cli/hugepage_needs.h"

#include "cli/report.h"
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

uint64_t FreePages(const Machine& machine, unsigned node, PageKind kind) {
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
  const unsigned node = wish.node.value_or(machine.nodes.front().os_index);
  options.numa = BindTo(node);
  ASSIGN_OR_RETURN(const PlacementPlan plan,
                   PlanPlacement(index, WithFullPools(machine), options, {}));

  HugePageNeeds needs;
  needs.model = index.files().front().label;
  for (const ArenaPlan& arena : plan.arenas) {
    needs.arena_bytes += arena.bytes;
    for (const PageTile& tile : arena.tiles) {
      if (!IsHugetlb(tile.kind)) {
        needs.other_bytes += tile.bytes;
        continue;
      }
      HugePageNeed need;
      need.change = {node, tile.kind, PageCount(tile.bytes, PageBytes(tile.kind))};
      need.free_pages = FreePages(machine, need.change.node, tile.kind);
      needs.pools.push_back(need);
    }
  }
  return needs;
}

}  // namespace llmrun
