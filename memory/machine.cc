#include "memory/machine.h"

#include <algorithm>
#include <map>
#include <set>

#include "memory/cpu_limits.h"
#include "memory/hugepage_pool.h"
#include "memory/limits.h"
#include "memory/page_calls.h"
#include "memory/topology.h"

namespace llmrun {
namespace {

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

// Of which nothing is known but its topology: all of it is free.
Result<Machine> ElsewhereMachine(hwloc_topology_t topology) {
  Machine machine;
  RETURN_IF_ERROR(AddTopology(topology, &machine));
  for (const NumaNode& node : machine.nodes) machine.total_bytes += node.total_bytes;
  machine.available_bytes = machine.total_bytes;
  machine.supports_2m = true;
  machine.supports_1g = true;
  machine.thp_mode = "madvise";
  return machine;
}

}  // namespace

Result<Machine> DetectMachine() {
  Machine machine;
  ASSIGN_OR_RETURN(const Topology topology, LiveTopology());
  RETURN_IF_ERROR(AddTopology(topology.get(), &machine));
  RETURN_IF_ERROR(AddPools(&machine));
  ASSIGN_OR_RETURN(const Limits limits, ReadLimits());
  machine.total_bytes = limits.total_bytes;
  machine.available_bytes = limits.available_bytes;
  if (limits.available_source != kMemAvailable) machine.memory_limit = limits.available_source;
  machine.effective_cpus =
      std::min(machine.effective_cpus, ReadCpuLimits().quota_cpus.value_or(machine.effective_cpus));
  for (NumaNode& node : machine.nodes) {
    node.free_bytes = NodeAvailableBytes(node.os_index).value_or(limits.available_bytes);
  }
  if (machine.nodes.size() == 1) machine.nodes.front().total_bytes = limits.total_bytes;
  machine.thp_mode = ThpMode();
  return machine;
}

Result<Machine> SyntheticMachine(const std::string& description) {
  ASSIGN_OR_RETURN(const Topology topology, SyntheticTopology(description));
  ASSIGN_OR_RETURN(Machine machine, ElsewhereMachine(topology.get()));
  machine.cpu_model = "synthetic " + description;
  return machine;
}

Result<Machine> MachineFromXml(const std::string& path) {
  ASSIGN_OR_RETURN(const Topology topology, XmlTopology(path));
  return ElsewhereMachine(topology.get());
}

std::vector<unsigned> CpusOf(const Machine& machine, unsigned node) {
  std::vector<unsigned> cpus;
  for (const Cpu& cpu : machine.cpus) {
    if (cpu.node == node) cpus.push_back(cpu.os_index);
  }
  return cpus;
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

std::vector<Cpu> CpusForThreads(const Machine& machine, const NodeSet& nodes, size_t threads) {
  std::vector<Cpu> order;
  for (const unsigned os_index : PinOrder(machine)) {
    order.push_back(*std::ranges::find(machine.cpus, os_index, &Cpu::os_index));
  }
  threads = std::min(threads, order.size());
  if (!nodes.empty()) {
    // Its place in line: the n-th CPU of a node stands before the (n+1)-th of any.
    std::map<unsigned, size_t> seen_of_node;
    std::map<unsigned, size_t> turn;  // os_index ->
    for (const Cpu& cpu : order) {
      const bool wanted = std::ranges::count(nodes, cpu.node) > 0;
      turn[cpu.os_index] = seen_of_node[cpu.node]++ + (wanted ? 0 : order.size());
    }
    std::ranges::stable_sort(order, {}, [&](const Cpu& cpu) { return turn[cpu.os_index]; });
  }
  order.resize(threads);
  if (!nodes.empty()) std::ranges::stable_sort(order, {}, &Cpu::node);
  return order;
}

size_t CoreCount(const Machine& machine, const NodeSet& nodes) {
  std::set<unsigned> cores;
  for (const Cpu& cpu : machine.cpus) {
    if (nodes.empty() || std::ranges::count(nodes, cpu.node) > 0) cores.insert(cpu.core);
  }
  return cores.size();
}

}  // namespace llmrun
