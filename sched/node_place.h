// A pool's members by NUMA node: who works beside whom.
#pragma once

#include <optional>
#include <vector>

#include "sched/thread_pool.h"

namespace llmrun {

// Of one member among those pinned to CPUs of the same node.
struct NodePlace {
  std::optional<unsigned> node;  // nullopt: not pinned, or the nodes are not known
  int rank = 0;                  // 0..members - 1, in the order of the pool
  int members = 1;
};

// [pool.size()]
std::vector<NodePlace> NodePlaces(const ThreadPool& pool);

}  // namespace llmrun
