#include "memory/machine.h"

#include <hwloc.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>

#include "memory/hugepage_pool.h"
#include "memory/limits.h"
#include "memory/page_calls.h"

namespace llmrun {
namespace {

struct TopologyDeleter {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, TopologyDeleter>;

struct BitmapDeleter {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, BitmapDeleter>;

// Only packages, cores, PUs and NUMA nodes are asked for; caches and devices cost time. Groups stay
// where they give structure: NUMA nodes hang on them, and without them every node would seem local
// to every CPU.
// The x86 component would move this thread over every CPU to run cpuid there; Linux tells enough.
Result<Topology> LoadTopology(const char* synthetic) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return MakeError(ErrorCode::kOs, "hwloc: no topology");
  Topology topology(raw);
  hwloc_topology_set_all_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_type_filter(raw, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
  hwloc_topology_set_type_filter(raw, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
  hwloc_topology_set_type_filter(raw, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
  if (synthetic == nullptr) {
    hwloc_topology_set_components(raw, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
  } else if (hwloc_topology_set_synthetic(raw, synthetic) != 0) {
    return MakeError(ErrorCode::kUsage, "'{}' is not an hwloc synthetic topology", synthetic);
  }
  if (hwloc_topology_load(raw) != 0) {
    return MakeError(ErrorCode::kOs, "hwloc cannot read the topology of this machine");
  }
  return topology;
}

unsigned LogicalIndexAbove(hwloc_topology_t topology, hwloc_obj_type_t type, hwloc_obj_t pu,
                           unsigned otherwise) {
  const hwloc_obj_t above = hwloc_get_ancestor_obj_by_type(topology, type, pu);
  return above == nullptr ? otherwise : above->logical_index;
}

void AddNodes(hwloc_topology_t topology, Machine* machine) {
  hwloc_obj_t object = nullptr;
  while ((object = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, object)) != nullptr) {
    NumaNode node;
    node.os_index = object->os_index;
    node.total_bytes = object->attr->numanode.local_memory;
    node.free_bytes = node.total_bytes;
    machine->nodes.push_back(node);
  }
  std::sort(machine->nodes.begin(), machine->nodes.end(),
            [](const NumaNode& a, const NumaNode& b) { return a.os_index < b.os_index; });
}

// In hwloc's logical order: by package, core, SMT sibling. `allowed` may be null for all.
void AddCpus(hwloc_topology_t topology, hwloc_const_bitmap_t allowed, Machine* machine) {
  hwloc_obj_t pu = nullptr;
  while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != nullptr) {
    if (allowed != nullptr && !hwloc_bitmap_isset(allowed, pu->os_index)) continue;
    Cpu cpu;
    cpu.os_index = pu->os_index;
    cpu.core = LogicalIndexAbove(topology, HWLOC_OBJ_CORE, pu, pu->logical_index);
    cpu.package = LogicalIndexAbove(topology, HWLOC_OBJ_PACKAGE, pu, 0);
    // Several nodes may be local (DRAM and HBM); the kernel numbers DRAM first. None where the
    // cpuset forbids the local one.
    const int local_node = hwloc_bitmap_first(pu->nodeset);
    cpu.node = local_node >= 0 ? static_cast<unsigned>(local_node) : machine->nodes[0].os_index;
    machine->cpus.push_back(cpu);
  }
}

Status AddTopology(hwloc_topology_t topology, Machine* machine) {
  AddNodes(topology, machine);
  if (machine->nodes.empty()) return MakeError(ErrorCode::kOs, "hwloc finds no memory");
  const Bitmap allowed(hwloc_bitmap_alloc());
  // Answers "all" for a synthetic topology. It fails where affinity cannot be read: then all, too.
  const bool known = hwloc_get_cpubind(topology, allowed.get(), HWLOC_CPUBIND_THREAD) == 0;
  AddCpus(topology, known ? allowed.get() : nullptr, machine);
  if (machine->cpus.empty()) return MakeError(ErrorCode::kOs, "hwloc finds no CPU we may run on");
  machine->effective_cpus = static_cast<int>(machine->cpus.size());
  return {};
}

std::string CpuModel(hwloc_topology_t topology) {
  const hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
  const char* model =
      package == nullptr ? nullptr : hwloc_obj_get_info_by_name(package, "CPUModel");
  if (model == nullptr) {
    model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "CPUModel");
  }
  return model == nullptr ? "unknown CPU" : model;
}

Status AddPools(Machine* machine) {
  ASSIGN_OR_RETURN(const std::vector<PoolStatus> pools, HugePoolStatus());
  for (const PoolStatus& pool : pools) {
    (pool.kind == PageKind::k1G ? machine->supports_1g : machine->supports_2m) = true;
    for (NumaNode& node : machine->nodes) {
      if (node.os_index != pool.node) continue;
      (pool.kind == PageKind::k1G ? node.pool_1g : node.pool_2m) = {pool.total_pages,
                                                                    pool.free_pages};
    }
  }
  return {};
}

}  // namespace

Result<Machine> DetectMachine() {
  Machine machine;
  ASSIGN_OR_RETURN(const Topology topology, LoadTopology(nullptr));
  RETURN_IF_ERROR(AddTopology(topology.get(), &machine));
  RETURN_IF_ERROR(AddPools(&machine));
  ASSIGN_OR_RETURN(const Limits limits, ReadLimits());
  machine.cpu_model = CpuModel(topology.get());
  machine.total_bytes = limits.total_bytes;
  machine.available_bytes = limits.available_bytes;
  machine.effective_cpus =
      std::min(machine.effective_cpus, limits.quota_cpus.value_or(machine.effective_cpus));
  for (NumaNode& node : machine.nodes) {
    node.free_bytes = NodeAvailableBytes(node.os_index).value_or(limits.available_bytes);
  }
  machine.thp_mode = ThpMode();
  return machine;
}

Result<Machine> SyntheticMachine(const std::string& description) {
  Machine machine;
  ASSIGN_OR_RETURN(const Topology topology, LoadTopology(description.c_str()));
  RETURN_IF_ERROR(AddTopology(topology.get(), &machine));
  machine.cpu_model = "synthetic " + description;
  for (const NumaNode& node : machine.nodes) machine.total_bytes += node.total_bytes;
  machine.available_bytes = machine.total_bytes;
  machine.supports_2m = true;
  machine.supports_1g = true;
  machine.thp_mode = "madvise";
  return machine;
}

std::vector<unsigned> PinOrder(const Machine& machine) {
  struct Place {
    unsigned sibling;  // how many CPUs of the same core stand before this one
    unsigned os_index;
  };
  std::map<unsigned, unsigned> seen_of_core;
  std::vector<Place> places;
  for (const Cpu& cpu : machine.cpus) places.push_back({seen_of_core[cpu.core]++, cpu.os_index});
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.sibling < b.sibling; });
  std::vector<unsigned> order;
  for (const Place& place : places) order.push_back(place.os_index);
  return order;
}

}  // namespace llmrun
