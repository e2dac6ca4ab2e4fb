// The machine as a value: what a plan needs to know, and nothing that changes behind its back.
// Built from the live machine by hwloc (honouring affinity, cpuset, cgroup limits), or from an
// hwloc synthetic description or XML file, so that plans for machines we do not own can be made and
// tested.
//
// Threads: values. Detection reads /proc, /sys and hwloc (a few milliseconds); it changes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "memory/node_set.h"
#include "memory/page_kind.h"

namespace llmrun {

struct HugePool {
  uint64_t total_pages = 0;
  uint64_t free_pages = 0;  // free and not promised to another mapping
};

// Node numbers are the kernel's and may have gaps; a node need not have CPUs (CXL, HBM), nor
// memory.
struct NumaNode {
  unsigned os_index = 0;
  std::string kind = {};  // "DRAM", "HBM", "NVM", ... as hwloc tells; empty where it does not
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // free or reclaimable page cache; without the hugetlb pools
  HugePool pool_2m = {};
  HugePool pool_1g = {};
  // To each node, as Machine::nodes: relative latency, 10 is local (ACPI's SLIT). Empty where the
  // firmware does not tell.
  std::vector<unsigned> distances = {};
  // Read by all of this node's cores from each node, as Machine::nodes; 0 where that cannot be.
  // Empty where it was not measured: detection does not.
  std::vector<double> read_bytes_per_s = {};
};

struct Cpu {
  unsigned os_index = 0;
  unsigned core = 0;  // logical number of its core; SMT siblings share it
  unsigned package = 0;
  unsigned node = 0;    // os_index of its NUMA node
  unsigned l3 = 0;      // logical number of its L3 cache, else of its package
  int efficiency = -1;  // of a hybrid machine: 0 is the weakest kind of core; -1: all are equal
};

struct Machine {
  std::string cpu_model;
  std::vector<NumaNode> nodes;  // ascending os_index; at least one
  std::vector<Cpu> cpus;        // those the calling thread may run on; at least one; by core
  int effective_cpus = 1;       // |cpus| capped by floor(cgroup cpu.max), at least 1
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // MemAvailable, capped by what limits leave (memory/limits.h)
  std::string memory_limit;      // which limit that is; empty: none
  bool supports_2m = false;      // the kernel has such a hugetlb size
  bool supports_1g = false;
  std::string thp_mode;  // "always", "madvise", "never", or "" where the kernel has none
};

Result<Machine> DetectMachine();
// What `lstopo FILE.xml` recorded on some machine, with the CPUs that were allowed there. Free
// memory and pools are as for SyntheticMachine(), but pools have the pages that were reserved, all
// free. kNoInput when the file is not there, kBadData when it is no topology.
Result<Machine> MachineFromXml(const std::string& path);
// e.g. "pack:2 numa:1 core:4 pu:2". Sizes are those hwloc gives, all memory is free, pools are
// empty, both hugetlb sizes exist, THP is "madvise". kUsage for a description that hwloc rejects.
Result<Machine> SyntheticMachine(const std::string& description);

// The CPUs (os_index) whose node this is; none for a node of memory alone.
std::vector<unsigned> CpusOf(const Machine& machine, unsigned node);

// The CPUs (os_index) in the order threads should be pinned: own cores first, SMT siblings after
// all cores have one thread. As long as `cpus`.
std::vector<unsigned> PinOrder(const Machine& machine);

// The CPUs for so many threads that work with weights on these nodes: from each node in turn, in
// the order above, and from the other nodes when there are no more; the CPUs of a node together.
// For no nodes simply the first of the order above. Fewer than `threads` when the machine has
// fewer.
std::vector<Cpu> CpusForThreads(const Machine& machine, const NodeSet& nodes, size_t threads);

// How many cores these nodes have; of the machine for none.
size_t CoreCount(const Machine& machine, const NodeSet& nodes);

}  // namespace llmrun
