// Making a store: the weights are loaded by the usual loaders straight into a file in memory, which
// gets its name and its manifest when it is whole.
//
// Threads: Thread-compatible; several processes may load the same model, the last one's store
// stays. Owner: the store outlives the process. A load that fails or dies leaves nothing behind but
// what SweepLeftovers() finds.
#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "loader/index/tensor_index.h"
#include "loader/load_options.h"
#include "loader/load_report.h"
#include "loader/resident/store.h"
#include "memory/machine.h"

namespace llmrun {

struct StoredLoad {
  ResidentStore store;
  std::optional<LoadReport> report;      // unset when a valid store was there already
  std::vector<Fallback> fallbacks = {};  // then: what was wished and is not so in that store
};

// Into options.resident_dir, onto the nodes of options.numa, in the largest pages of
// options.hugepages that are to be had: those of a mounted hugetlbfs with enough free pages, else
// tmpfs; each step down is a Fallback. Failure: kUsage for a loader that maps, as StoreDir::Make(),
// kResource when memory is short, kBadData when the files change meanwhile.
Result<StoredLoad> LoadIntoStore(const TensorIndex& index, const Machine& machine,
                                 const LoadOptions& options);

}  // namespace llmrun
