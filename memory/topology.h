// The part of a Machine that hwloc knows. Internal to memory/machine.
//
// Threads: Single-thread. Failure: kOs where hwloc finds nothing.
#pragma once

#include <hwloc.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "memory/machine.h"

namespace llmrun {

struct TopologyDeleter {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, TopologyDeleter>;

Result<Topology> LiveTopology();
Result<Topology> SyntheticTopology(const std::string& description);
Result<Topology> XmlTopology(const std::string& path);

// Nodes, CPUs and the name of the processor.
Status AddTopology(hwloc_topology_t topology, Machine* machine);

}  // namespace llmrun
