// llm-run doctor: what this machine offers for loading and running models, and what to fix.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/doctor.h"
#include "cli/output.h"

namespace llmrun {
namespace {

struct DoctorOptions {
  ModelOptions model;
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
  ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
  Checks checks;
  CheckProcessor(machine, checks);
  CheckMemory(machine, checks);
  CheckHugePages(machine, checks);
  CheckStorage(ModelFilePath(options.model).value_or(""), checks);
  const auto failed = std::ranges::find(checks, CheckLevel::kFail, &Check::level);
  const bool ok = failed == checks.end();
  RETURN_IF_ERROR(options.json ? WriteJson(DoctorJson(checks, ok))
                               : WriteStdout(DoctorText(checks)));
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
  command->add_flag("--json", options->json, "as JSON");
  command->footer(
      "Exits with 0 unless something fails (69); a warning costs speed only.\n"
      "example:\n  llm-run doctor -m model.gguf");
  command->callback(
      [options, &context] { context.action = [options] { return Finish(Doctor(*options)); }; });
}

}  // namespace llmrun
