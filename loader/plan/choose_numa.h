// What --numa=auto stands for on a machine. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "loader/load_options.h"
#include "memory/machine.h"

namespace llmrun {

struct NumaChoice {
  NumaPolicy policy;
  std::string rule;  // why, in a line; empty where there is nothing to choose
};

// Compares the time of one token: all weights read by one node's cores from its own memory, against
// each node reading its share while all wait for each other between the steps of a layer. One node
// is taken when it is no slower and the weights fit there; else rows are sharded. Copies on each
// node (mirror) read as fast as shards at several times the memory, so they are never chosen.
// Nodes whose bandwidth was not measured (NumaNode::read_bytes_per_s) are taken as equal.
NumaChoice ChooseNuma(const Machine& machine, uint64_t weights_bytes, uint64_t layers);

}  // namespace llmrun
