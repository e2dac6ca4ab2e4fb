// The NUMA memory policy of a thread: where pages come from that it touches first, and pages of
// the page cache that it reads in.
#pragma once

#include "base/error.h"
#include "memory/node_set.h"

namespace llmrun {

// For the calling thread, until it ends: one node is preferred, several are taken in turn
// (set_mempolicy(2): MPOL_PREFERRED, MPOL_INTERLEAVE). A full node's pages come from others.
// Requires: at least one node. Failure: kUnavailable where that is forbidden, kUsage for a node
// that is not there.
Status SetThreadNodes(const NodeSet& nodes);

}  // namespace llmrun
