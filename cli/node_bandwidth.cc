#include "cli/node_bandwidth.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/bandwidth.h"
#include "cli/cache_file.h"
#include "cli/workers.h"

namespace llmrun {
namespace {

constexpr uint64_t kMostBufferBytes = kGiB;

// What the figures hold for: another processor, node or cpuset makes other figures.
Json Identity(const Machine& machine) {
  Json nodes = Json::array();
  for (const NumaNode& node : machine.nodes) {
    nodes.push_back({{"node", node.os_index},
                     {"bytes", node.total_bytes},
                     {"cpus", CpusOf(machine, node.os_index)}});
  }
  return {{"cpu", machine.cpu_model}, {"nodes", nodes}};
}

}  // namespace

Status MeasureNodeBandwidths(Machine* machine) {
  std::vector<std::vector<double>> measured;
  for (const NumaNode& reader : machine->nodes) {
    std::vector<double>& row = measured.emplace_back(machine->nodes.size(), 0.0);
    if (CpusOf(*machine, reader.os_index).empty()) continue;
    ASSIGN_OR_RETURN(const std::unique_ptr<ThreadPool> pool,
                     MakePool(*machine, {reader.os_index}, 0));
    for (size_t i = 0; i < machine->nodes.size(); ++i) {
      const NumaNode& from = machine->nodes[i];
      const uint64_t bytes = std::min(kMostBufferBytes, from.free_bytes / 4);
      if (bytes < kMiB) continue;
      ASSIGN_OR_RETURN(row[i], MeasureReadBandwidth(*pool, bytes, {from.os_index}));
    }
  }
  for (size_t i = 0; i < measured.size(); ++i) {
    machine->nodes[i].read_bytes_per_s = std::move(measured[i]);
  }
  return {};
}

std::string BandwidthFile() { return CacheFile("bandwidth.json"); }

Status SaveNodeBandwidths(const Machine& machine, const std::string& path) {
  Json rows = Json::array();
  for (const NumaNode& node : machine.nodes) rows.push_back(node.read_bytes_per_s);
  return SaveCacheFile({{"machine", Identity(machine)}, {"read_bytes_per_s", rows}}, path);
}

void LoadNodeBandwidths(const std::string& path, Machine* machine) {
  const Json json = LoadCacheFile(path);
  if (!json.contains("machine") || json["machine"] != Identity(*machine)) return;
  const Json rows = json.value("read_bytes_per_s", Json::array());
  const auto is_row = [&](const Json& row) {
    return row.is_array() && row.size() == machine->nodes.size() &&
           std::ranges::all_of(row, [](const Json& value) { return value.is_number(); });
  };
  if (rows.size() != machine->nodes.size() || !std::ranges::all_of(rows, is_row)) return;
  for (size_t i = 0; i < rows.size(); ++i) {
    machine->nodes[i].read_bytes_per_s = rows[i].get<std::vector<double>>();
  }
}

Result<Machine> ThisMachine() {
  ASSIGN_OR_RETURN(Machine machine, DetectMachine());
  if (machine.nodes.size() > 1) LoadNodeBandwidths(BandwidthFile(), &machine);
  return machine;
}

}  // namespace llmrun
