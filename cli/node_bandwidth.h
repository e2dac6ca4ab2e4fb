// How fast each NUMA node's cores read each node's memory, measured once and kept, for --numa=auto.
// Threads: Single-thread.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "memory/machine.h"

namespace llmrun {

// Measures NumaNode::read_bytes_per_s of every node: by all cores of the node, from each node with
// memory; 0 where one of the two is missing. Takes seconds.
// Failure: kUnavailable where memory cannot be bound to nodes, kResource without memory.
Status MeasureNodeBandwidths(Machine* machine);

std::string BandwidthFile();  // CacheFile("bandwidth.json")
Status SaveNodeBandwidths(const Machine& machine, const std::string& path);
// Fills in what was saved; nothing when that is of another machine, damaged or not there.
void LoadNodeBandwidths(const std::string& path, Machine* machine);

// DetectMachine(), and of several nodes what is known of their bandwidth.
Result<Machine> ThisMachine();

}  // namespace llmrun
