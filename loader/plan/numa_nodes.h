// What a NUMA policy means on a machine. Pure: values in, values out.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "loader/load_options.h"
#include "memory/machine.h"
#include "memory/node_set.h"

namespace llmrun {

// The nodes on which weights are to lie; none for kOff and kAuto. kInterleave, kShard and kMirror
// take those that have CPUs and memory (the memory of its package, not HBM or CXL beside it), or
// the only one of a machine. Failure: kUsage for a node that is not there.
Result<NodeSet> NodesFor(const NumaPolicy& policy, const Machine& machine);

// In which proportion rows of a matrix are dealt out to these nodes: as their cores. Of a node
// without CPUs 1. For no nodes: {1}.
std::vector<uint32_t> RowShares(const Machine& machine, const NodeSet& nodes);

// Huge pages that are free on these nodes in equal parts; on all of the machine for none.
uint64_t FreeHugePages(const Machine& machine, const NodeSet& nodes, PageKind kind);

// Memory that weights on these nodes may take: 5% stays free for everything else.
uint64_t MemoryLimit(const Machine& machine, const NodeSet& nodes);

}  // namespace llmrun
