// Which CPU each member of a pool is pinned to (--pin=), and how fast these CPUs are.
//
// Threads: Thread-safe; only CapacityWeights() reads files. Failure: kUsage.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "memory/machine.h"
#include "memory/node_set.h"

namespace llmrun {

// kCores: one thread a core before any core gets a second one. kThreads: all SMT siblings of a core
// before the next core. kNone: where the kernel puts them. kList: these CPUs and no others.
struct PinMode {
  enum class Kind : uint8_t { kCores, kThreads, kNone, kList };
  Kind kind = Kind::kCores;
  std::vector<unsigned> cpus = {};  // kList: os_index, in the order of the members; no two equal
  bool operator==(const PinMode&) const = default;
};
// "cores", "threads", "none", or a list as in memory/cpu_list.h.
Result<PinMode> ParsePin(std::string_view text);
std::string NameOf(const PinMode& mode);

struct AffinityPlan {
  bool pinned = false;
  std::vector<Cpu> cpus = {};  // [member], the CPUs of a node together (kList: as given)
};

// For threads that work with weights on these nodes: from each node in turn (kThreads: by whole
// cores), and from the other nodes when there are no more; for no nodes from all, as they come.
// Fewer CPUs than `threads` when the machine has fewer. A list is taken as it is, whatever the
// nodes; it is refused when it names CPUs that this process may not run on, or too few.
// Requires: threads >= 1.
Result<AffinityPlan> PlanAffinity(const Machine& machine, const NodeSet& nodes, const PinMode& mode,
                                  int threads);

// As many as those nodes have cores (kThreads: CPUs) or the list has CPUs; of the machine for no
// nodes. At least 1, at most machine.effective_cpus.
int DefaultThreads(const Machine& machine, const NodeSet& nodes, const PinMode& mode);

// [cpus] how fast each is beside the fastest of them, in (0, 1]; all 1 unless they are of several
// kinds (Cpu::efficiency) and the kernel tells of each of them its capacity (cpu_capacity) or else
// its highest frequency, which makes weak cores look better than they are. What a core's siblings
// take from each other is not in it.
std::vector<double> CapacityWeights(std::span<const Cpu> cpus, const std::string& sysfs = "/sys");

}  // namespace llmrun
