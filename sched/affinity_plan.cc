#include "sched/affinity_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "base/small_file.h"
#include "memory/cpu_list.h"

namespace llmrun {
namespace {

constexpr std::pair<PinMode::Kind, std::string_view> kPinNames[] = {
    {PinMode::Kind::kCores, "cores"},
    {PinMode::Kind::kThreads, "threads"},
    {PinMode::Kind::kNone, "none"},
};

bool IsOn(const NodeSet& nodes, const Cpu& cpu) {
  return nodes.empty() || std::ranges::count(nodes, cpu.node) > 0;
}

// Cores in the order in which they get threads, each with all of its CPUs.
std::vector<Cpu> SiblingsTogether(const Machine& machine, const NodeSet& nodes, size_t threads) {
  // A core's place in line: the n-th core of a node stands before the (n+1)-th of any. Without
  // nodes cores stay as they come.
  std::map<unsigned, size_t> cores_of_node;
  std::map<unsigned, size_t> turn_of_core;
  for (const Cpu& cpu : machine.cpus) {
    if (turn_of_core.contains(cpu.core)) continue;
    size_t& turn = cores_of_node[nodes.empty() ? 0 : cpu.node];
    turn_of_core[cpu.core] = turn++ + (IsOn(nodes, cpu) ? 0 : machine.cpus.size());
  }
  std::vector<Cpu> order = machine.cpus;
  std::ranges::stable_sort(
      order, {}, [&](const Cpu& cpu) { return std::pair(turn_of_core[cpu.core], cpu.core); });
  order.resize(std::min(threads, order.size()));
  if (!nodes.empty()) std::ranges::stable_sort(order, {}, &Cpu::node);
  return order;
}

Result<std::vector<Cpu>> ListedCpus(const Machine& machine, const PinMode& mode, size_t threads) {
  std::vector<Cpu> cpus;
  std::vector<unsigned> forbidden;
  for (const unsigned os_index : mode.cpus) {
    const auto cpu = std::ranges::find(machine.cpus, os_index, &Cpu::os_index);
    if (cpu == machine.cpus.end()) {
      forbidden.push_back(os_index);
    } else {
      cpus.push_back(*cpu);
    }
  }
  if (!forbidden.empty()) {
    std::vector<unsigned> allowed;
    for (const Cpu& cpu : machine.cpus) allowed.push_back(cpu.os_index);
    std::ranges::sort(allowed);
    std::ranges::sort(forbidden);
    return MakeFixableError(ErrorCode::kUsage,
                            "name some of those, or widen the affinity (taskset) or the cpuset "
                            "(cpuset.cpus, docker run --cpuset-cpus) of this process",
                            "--pin={}: CPU{} {} cannot be had: affinity and cpuset leave {} here",
                            NameOf(mode), forbidden.size() == 1 ? "" : "s",
                            FormatCpuList(forbidden), FormatCpuList(allowed));
  }
  if (threads > cpus.size()) {
    return MakeFixableError(ErrorCode::kUsage, fmt::format("-t {}, or a longer list", cpus.size()),
                            "--pin={}: {} threads want as many CPUs, the list has {}", NameOf(mode),
                            threads, cpus.size());
  }
  cpus.resize(threads);
  return cpus;
}

bool AreOfOneKind(std::span<const Cpu> cpus) {
  return std::ranges::all_of(
      cpus, [&](const Cpu& cpu) { return cpu.efficiency == cpus.front().efficiency; });
}

// What a file of each CPU says; nullopt where one says nothing.
std::optional<std::vector<double>> ReadOfEach(std::span<const Cpu> cpus, const std::string& sysfs,
                                              std::string_view file) {
  std::vector<double> values;
  for (const Cpu& cpu : cpus) {
    const std::optional<uint64_t> value =
        ReadNumberFile(fmt::format("{}/devices/system/cpu/cpu{}/{}", sysfs, cpu.os_index, file));
    if (value.value_or(0) == 0) return std::nullopt;
    values.push_back(static_cast<double>(*value));
  }
  return values;
}

}  // namespace

Result<PinMode> ParsePin(std::string_view text) {
  for (const auto& [kind, name] : kPinNames) {
    if (text == name) return PinMode{kind};
  }
  Result<std::vector<unsigned>> cpus = ParseCpuList(text);
  if (cpus) return PinMode{PinMode::Kind::kList, *std::move(cpus)};
  return MakeError(ErrorCode::kUsage,
                   "--pin={}: expected cores, threads, none or a list of CPUs like 0-3,8: {}", text,
                   cpus.error().message);
}

std::string NameOf(const PinMode& mode) {
  for (const auto& [kind, name] : kPinNames) {
    if (mode.kind == kind) return std::string(name);
  }
  return FormatCpuList(mode.cpus);
}

Result<AffinityPlan> PlanAffinity(const Machine& machine, const NodeSet& nodes, const PinMode& mode,
                                  int threads) {
  const auto count = static_cast<size_t>(threads);
  switch (mode.kind) {
    case PinMode::Kind::kCores:
      return AffinityPlan{true, CpusForThreads(machine, nodes, count)};
    case PinMode::Kind::kThreads:
      return AffinityPlan{true, SiblingsTogether(machine, nodes, count)};
    case PinMode::Kind::kList: {
      ASSIGN_OR_RETURN(std::vector<Cpu> cpus, ListedCpus(machine, mode, count));
      return AffinityPlan{true, std::move(cpus)};
    }
    case PinMode::Kind::kNone:
      break;
  }
  return AffinityPlan{};
}

int DefaultThreads(const Machine& machine, const NodeSet& nodes, const PinMode& mode) {
  size_t wanted = 0;
  switch (mode.kind) {
    case PinMode::Kind::kCores:
    case PinMode::Kind::kNone:
      wanted = CoreCount(machine, nodes);
      break;
    case PinMode::Kind::kThreads:
      wanted = static_cast<size_t>(
          std::ranges::count_if(machine.cpus, [&](const Cpu& cpu) { return IsOn(nodes, cpu); }));
      break;
    case PinMode::Kind::kList:
      wanted = mode.cpus.size();
      break;
  }
  return std::clamp(static_cast<int>(wanted), 1, std::max(1, machine.effective_cpus));
}

std::vector<double> CapacityWeights(std::span<const Cpu> cpus, const std::string& sysfs) {
  std::vector<double> equal(cpus.size(), 1.0);
  if (AreOfOneKind(cpus)) return equal;
  std::optional<std::vector<double>> weights = ReadOfEach(cpus, sysfs, "cpu_capacity");
  if (!weights) weights = ReadOfEach(cpus, sysfs, "cpufreq/cpuinfo_max_freq");
  if (!weights) return equal;
  const double fastest = std::ranges::max(*weights);
  for (double& weight : *weights) weight /= fastest;
  return *std::move(weights);
}

}  // namespace llmrun
