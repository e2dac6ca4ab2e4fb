#include "memory/topology.h"

#include <hwloc/cpukinds.h>
#include <hwloc/distances.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

namespace llmrun {
namespace {

struct BitmapDeleter {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, BitmapDeleter>;

// Only packages, L3 caches, cores, PUs and NUMA nodes are asked for; other caches and devices cost
// time. Groups stay where they give structure: NUMA nodes hang on them, and without them every node
// would seem local to every CPU.
Result<Topology> Load(const std::function<Status(hwloc_topology_t)>& choose_source) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return MakeError(ErrorCode::kOs, "hwloc: no topology");
  Topology topology(raw);
  hwloc_topology_set_all_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_NONE);
  for (const hwloc_obj_type_t type : {HWLOC_OBJ_PACKAGE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_CORE}) {
    hwloc_topology_set_type_filter(raw, type, HWLOC_TYPE_FILTER_KEEP_ALL);
  }
  hwloc_topology_set_type_filter(raw, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
  RETURN_IF_ERROR(choose_source(raw));
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

void AddReservedPages(const hwloc_obj_t object, NumaNode* node) {
  const auto& memory = object->attr->numanode;
  for (unsigned i = 0; i < memory.page_types_len; ++i) {
    HugePool* pool = memory.page_types[i].size == PageBytes(PageKind::k2M)   ? &node->pool_2m
                     : memory.page_types[i].size == PageBytes(PageKind::k1G) ? &node->pool_1g
                                                                             : nullptr;
    if (pool != nullptr) *pool = {memory.page_types[i].count, memory.page_types[i].count};
  }
}

void AddNodes(hwloc_topology_t topology, Machine* machine) {
  hwloc_obj_t object = nullptr;
  while ((object = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, object)) != nullptr) {
    NumaNode node;
    node.os_index = object->os_index;
    if (object->subtype != nullptr) node.kind = object->subtype;
    node.total_bytes = object->attr->numanode.local_memory;
    node.free_bytes = node.total_bytes;
    AddReservedPages(object, &node);
    machine->nodes.push_back(node);
  }
  std::sort(machine->nodes.begin(), machine->nodes.end(),
            [](const NumaNode& a, const NumaNode& b) { return a.os_index < b.os_index; });
}

// A matrix that does not cover all nodes tells nothing.
void AddDistances(hwloc_topology_t topology, Machine* machine) {
  unsigned count = 1;
  hwloc_distances_s* matrix = nullptr;
  const int found = hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &count, &matrix,
                                                HWLOC_DISTANCES_KIND_MEANS_LATENCY, /*flags=*/0);
  if (found != 0 || count == 0) return;
  const size_t n = machine->nodes.size();
  if (matrix->nbobjs == n) {
    for (NumaNode& node : machine->nodes) node.distances.resize(n);
    const auto place_of = [&](hwloc_obj_t object) {
      const auto at = std::ranges::find(machine->nodes, object->os_index, &NumaNode::os_index);
      return static_cast<size_t>(at - machine->nodes.begin());
    };
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        machine->nodes[place_of(matrix->objs[i])].distances[place_of(matrix->objs[j])] =
            static_cast<unsigned>(matrix->values[i * n + j]);
      }
    }
  }
  hwloc_distances_release(topology, matrix);
}

// Several nodes may be local: DRAM and HBM of a package, or memory that hangs on the whole machine.
// The one that the fewest CPUs share is nearest; among those the kernel numbers DRAM first. None
// where the cpuset forbids the local one.
unsigned NearestNode(hwloc_topology_t topology, hwloc_obj_t pu, unsigned otherwise) {
  const hwloc_obj_t none = nullptr;
  hwloc_obj_t nearest = none;
  hwloc_obj_t node = none;
  const auto shared_by = [](hwloc_obj_t object) { return hwloc_bitmap_weight(object->cpuset); };
  while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr) {
    if (!hwloc_bitmap_isset(pu->nodeset, node->os_index)) continue;
    if (nearest == nullptr || shared_by(node) < shared_by(nearest) ||
        (shared_by(node) == shared_by(nearest) && node->os_index < nearest->os_index)) {
      nearest = node;
    }
  }
  return nearest == nullptr ? otherwise : nearest->os_index;
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
    cpu.l3 = LogicalIndexAbove(topology, HWLOC_OBJ_L3CACHE, pu, cpu.package);
    cpu.node = NearestNode(topology, pu, machine->nodes[0].os_index);
    machine->cpus.push_back(cpu);
  }
}

// hwloc ranks kinds of cores by what the firmware and their frequencies tell. One kind is none.
void AddEfficiencies(hwloc_topology_t topology, Machine* machine) {
  const int kinds = hwloc_cpukinds_get_nr(topology, /*flags=*/0);
  if (kinds < 2) return;
  const Bitmap cpus(hwloc_bitmap_alloc());
  for (int kind = 0; kind < kinds; ++kind) {
    int efficiency = -1;
    if (hwloc_cpukinds_get_info(topology, static_cast<unsigned>(kind), cpus.get(), &efficiency,
                                nullptr, nullptr, /*flags=*/0) != 0) {
      continue;
    }
    for (Cpu& cpu : machine->cpus) {
      if (hwloc_bitmap_isset(cpus.get(), cpu.os_index)) cpu.efficiency = efficiency;
    }
  }
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

}  // namespace

// The x86 component would move this thread over every CPU to run cpuid there; Linux tells enough.
Result<Topology> LiveTopology() {
  return Load([](hwloc_topology_t topology) -> Status {
    hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
    return {};
  });
}

Result<Topology> SyntheticTopology(const std::string& description) {
  return Load([&](hwloc_topology_t topology) -> Status {
    if (hwloc_topology_set_synthetic(topology, description.c_str()) == 0) return {};
    return MakeError(ErrorCode::kUsage, "'{}' is not an hwloc synthetic topology", description);
  });
}

Result<Topology> XmlTopology(const std::string& path) {
  Result<Topology> topology = Load([&](hwloc_topology_t empty) -> Status {
    if (hwloc_topology_set_xml(empty, path.c_str()) == 0) return {};
    if (errno == ENOENT || errno == EACCES) return OsError(errno, path);
    return MakeError(ErrorCode::kBadData, "{}: not an hwloc XML topology", path);
  });
  if (!topology && topology.error().code == ErrorCode::kOs) {
    return MakeFixableError(ErrorCode::kBadData, "lstopo machine.xml, on that machine",
                            "{}: hwloc cannot read this topology", path);
  }
  return topology;
}

Status AddTopology(hwloc_topology_t topology, Machine* machine) {
  AddNodes(topology, machine);
  if (machine->nodes.empty()) return MakeError(ErrorCode::kOs, "hwloc finds no memory");
  AddDistances(topology, machine);
  const Bitmap allowed(hwloc_bitmap_alloc());
  // Of another machine than this all that it has. It fails where affinity cannot be read: then all.
  const bool known = hwloc_topology_is_thissystem(topology) != 0 &&
                     hwloc_get_cpubind(topology, allowed.get(), HWLOC_CPUBIND_THREAD) == 0;
  AddCpus(topology, known ? allowed.get() : nullptr, machine);
  if (machine->cpus.empty()) return MakeError(ErrorCode::kOs, "hwloc finds no CPU we may run on");
  AddEfficiencies(topology, machine);
  machine->effective_cpus = static_cast<int>(machine->cpus.size());
  machine->cpu_model = CpuModel(topology);
  return {};
}

}  // namespace llmrun
