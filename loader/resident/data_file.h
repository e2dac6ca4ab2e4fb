// The memory of a store while it is being made: a file without a name, mapped and touched.
//
// Threads: Thread-compatible. Owner: whoever holds the descriptor or the mapping; without a name
// the memory goes with the last of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "base/unique_fd.h"
#include "loader/load_options.h"
#include "loader/plan/placement_plan.h"
#include "memory/arena.h"
#include "memory/machine.h"

namespace llmrun {

struct DataFile {
  UniqueFd fd;
  std::string folder;
  PageKind kind = PageKind::k4K;  // k2M and k1G on hugetlbfs, else k4K
  Arena arena;
  double populate_seconds = 0;
  std::vector<Fallback> fallbacks;
};

// One for each arena of a plan, bound to its nodes, in the best place for its bytes: hugetlbfs as
// `pages` says, else `tmpfs_folder`.
// Failure: kResource when memory is short, kUsage for a node that is not there, kOs.
Result<std::vector<DataFile>> MakeDataFiles(const std::string& tmpfs_folder,
                                            const std::vector<ArenaPlan>& arenas, HugePages pages,
                                            const Machine& machine);

}  // namespace llmrun
