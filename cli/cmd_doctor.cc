// llm-run doctor: what this machine offers for loading and running models, and what to fix.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/doctor.h"
#include "cli/node_bandwidth.h"
#include "cli/output.h"

namespace llmrun {
namespace {

struct DoctorOptions {
  ModelOptions model;
  bool bandwidth = false;
  bool json = false;
};

std::string DoctorText(const Checks& checks) {
  using enum Table::Align;
  Table table({kLeft, kLeft, kLeft});
  for (const Check& check : checks) {
    table.AddRow({std::string(NameOf(check.level)), check.name, check.found});
    if (!check.fix.empty()) table.AddRow({"", "", "fix: " + check.fix});
  }
  return table.Format();
}

// A row a node with cores, a column a node with memory.
std::string BandwidthText(const Machine& machine) {
  using enum Table::Align;
  std::vector<Table::Align> aligns = {kLeft};
  std::vector<std::string> head = {"GB/s read"};
  for (const NumaNode& node : machine.nodes) {
    aligns.push_back(kRight);
    head.push_back(fmt::format("from node {}", node.os_index));
  }
  Table table(aligns);
  table.AddRow(head);
  for (const NumaNode& node : machine.nodes) {
    if (CpusOf(machine, node.os_index).empty()) continue;
    std::vector<std::string> row = {fmt::format("by node {}", node.os_index)};
    for (const double bytes_per_s : node.read_bytes_per_s) {
      row.push_back(bytes_per_s > 0 ? fmt::format("{:.1f}", bytes_per_s * 1e-9) : "-");
    }
    table.AddRow(row);
  }
  return "\n" + table.Format();
}

Json BandwidthJson(const Machine& machine) {
  Json rows = Json::array();
  for (const NumaNode& node : machine.nodes) {
    rows.push_back({{"node", node.os_index}, {"read_bytes_per_s", node.read_bytes_per_s}});
  }
  return rows;
}

Json DoctorJson(const Checks& checks, bool ok) {
  Json list = Json::array();
  for (const Check& check : checks) {
    list.push_back({{"name", check.name},
                    {"status", NameOf(check.level)},
                    {"found", check.found},
                    {"fix", check.fix}});
  }
  return {{"ok", ok}, {"checks", list}};
}

Status Doctor(const DoctorOptions& options) {
  ASSIGN_OR_RETURN(Machine machine, DetectMachine());
  std::string saved;
  if (options.bandwidth) {
    RETURN_IF_ERROR(MeasureNodeBandwidths(&machine));
    saved = BandwidthFile();
    if (!saved.empty()) RETURN_IF_ERROR(SaveNodeBandwidths(machine, saved));
  }
  Checks checks;
  CheckProcessor(machine, checks);
  CheckMemory(machine, checks);
  CheckHugePages(machine, checks);
  CheckStorage(ModelFilePath(options.model).value_or(""), checks);
  const auto failed = std::ranges::find(checks, CheckLevel::kFail, &Check::level);
  const bool ok = failed == checks.end();
  if (options.json) {
    Json json = DoctorJson(checks, ok);
    if (options.bandwidth) json["bandwidth"] = BandwidthJson(machine);
    RETURN_IF_ERROR(WriteJson(json));
  } else {
    RETURN_IF_ERROR(WriteStdout(DoctorText(checks) +
                                (options.bandwidth ? BandwidthText(machine) : std::string())));
  }
  if (!saved.empty()) Note("saved in {}, for --numa=auto", saved);
  if (ok) return {};
  return MakeFixableError(ErrorCode::kUnavailable, failed->fix, "{}: {}", failed->name,
                          failed->found);
}

}  // namespace

void AddDoctorCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand("doctor", "What this machine offers, and what to fix")
                          ->group(kGroupMachine);
  AddModelOptions(*command, options->model);
  command->add_flag("--bandwidth", options->bandwidth,
                    "measure how fast each node's cores read each node's memory, and\n"
                    "keep it for --numa=auto");
  command->add_flag("--json", options->json, "as JSON");
  command->footer(
      "Exits with 0 unless something fails (69); a warning costs speed only.\n"
      "example:\n  llm-run doctor -m model.gguf");
  command->callback(
      [options, &context] { context.action = [options] { return Finish(Doctor(*options)); }; });
}

}  // namespace llmrun
