// How many huge pages a model takes: exactly those that its load will ask for, because it is the
// loader's own plan that says so.
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/index/tensor_index.h"
#include "loader/load_options.h"
#include "memory/hugepage_pool.h"
#include "memory/machine.h"
#include "memory/page_kind.h"

namespace llmrun {

struct HugePageWish {
  PageKind kind = PageKind::k1G;  // the largest to use
  HugePagesPolicy policy = HugePagesPolicy::kTry;
  NumaPolicy numa = {};  // as the model will be run with
};

// Of one node and kind.
struct HugePageNeed {
  PoolChange change;  // the pages needed
  uint64_t free_pages = 0;
  uint64_t missing() const { return change.pages - std::min(change.pages, free_pages); }
};

struct HugePageNeeds {
  std::string model;
  uint64_t arena_bytes = 0;  // of memory in all
  uint64_t other_bytes = 0;  // of these, in ordinary pages
  NumaPolicy numa;           // what the policy came to; never kAuto
  std::vector<HugePageNeed> pools;
};

// Arenas that lie on several nodes take their pages from each in equal parts, rounded up; where no
// node was chosen they come from the first one. Failure: as PlanPlacement(), e.g. kUsage for a node
// that is not there.
Result<HugePageNeeds> PlanHugePages(const TensorIndex& index, const Machine& machine,
                                    const HugePageWish& wish);

}  // namespace llmrun
