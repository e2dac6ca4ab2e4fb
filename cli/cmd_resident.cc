// llm-run resident: weights that stay in memory when the process ends, for the next one to attach.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/node_bandwidth.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "loader/open_model.h"
#include "loader/resident/load_into_store.h"
#include "loader/resident/store.h"
#include "model/weight_packing.h"

namespace llmrun {
namespace {

struct ResidentOptions {
  ModelOptions model;
  std::string dir;  // empty: the usual one
  std::string hugepages = "auto";
  std::string numa = "auto";
  std::string repack = "on";
  bool all = false;
  bool json = false;
};

std::string FolderOf(const ResidentOptions& options) {
  return options.dir.empty() ? ResidentDir() : options.dir;
}

std::string ModelOf(const ResidentStore& store) {
  return store.manifest.parts.empty() ? store.manifest_path : store.manifest.parts.front().path;
}

// --- load ---

Status LoadResident(const ResidentOptions& options) {
  const std::optional<HugePages> pages = ParseHugePages(options.hugepages);
  if (!pages) {
    return MakeError(ErrorCode::kUsage, "--hugepages={}: expected off, thp, 2M, 1G or auto",
                     options.hugepages);
  }
  ASSIGN_OR_RETURN(const std::string path, ModelFilePath(options.model));
  ASSIGN_OR_RETURN(const TensorIndex index, OpenModel(path));
  ASSIGN_OR_RETURN(const Machine machine, ThisMachine());
  LoadOptions load;
  load.hugepages = *pages;
  ASSIGN_OR_RETURN(load.numa, ParseNuma(options.numa));
  load.resident_dir = FolderOf(options);
  load.packing = &WeightPacking();
  ASSIGN_OR_RETURN(load.pack, ParseOnOff("--repack", options.repack));
  ProgressBar bar("load");
  load.progress = [&bar](const LoadProgress& p) {
    bar.Update(p.bytes_done, p.bytes_total, p.seconds);
  };
  ASSIGN_OR_RETURN(const StoredLoad loaded, LoadIntoStore(index, machine, load));
  bar.Clear();
  if (loaded.report) NoteLine(ReportText(*loaded.report));
  for (const Fallback& fallback : loaded.fallbacks) Note("note   {}", fallback.OneLine());
  const ResidentManifest& manifest = loaded.store.manifest;
  std::string paths;
  for (const ResidentData& data : manifest.data) paths += " " + data.path;
  return WriteStdout(fmt::format("{}  {} in {} pages, numa {}, {}:{}\n", ModelOf(loaded.store),
                                 FormatBytes(manifest.DataBytes()), NameOf(manifest.Pages()),
                                 NameOf(manifest.numa),
                                 loaded.report ? "now resident" : "resident already", paths));
}

// --- list, drop ---

int64_t AgeSeconds(const ResidentManifest& manifest) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::max<int64_t>(
      0, std::chrono::duration_cast<std::chrono::seconds>(now).count() - manifest.created_seconds);
}

std::string AgeText(int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 120 * 60) return fmt::format("{} min", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86400);
}

Json StoreJson(const ResidentStore& store) {
  const ResidentManifest& manifest = store.manifest;
  Json data = Json::array();
  for (const ResidentData& image : manifest.data) data.push_back(image.path);
  return {{"model", ModelOf(store)},
          {"bytes", manifest.DataBytes()},
          {"pages", NameOf(manifest.Pages())},
          {"numa", NameOf(manifest.numa)},
          {"packed", manifest.packing_version != 0},
          {"nodes", manifest.nodes},
          {"valid", store.stale.empty()},
          {"why_not", store.stale.empty() ? Json(nullptr) : Json(store.stale)},
          {"data", data},
          {"xxh3", FormatHash(manifest.xxh3)},
          {"pid", manifest.pid},
          {"age_seconds", AgeSeconds(manifest)}};
}

Status ShowStores(const std::vector<ResidentStore>& stores, bool json) {
  if (json) {
    Json list = Json::array();
    for (const ResidentStore& store : stores) list.push_back(StoreJson(store));
    return WriteJson({{"stores", list}});
  }
  using enum Table::Align;
  Table table({kLeft, kRight, kLeft, kLeft, kRight, kLeft});
  table.AddRow({"model", "size", "pages", "numa", "age", "state"});
  for (const ResidentStore& store : stores) {
    table.AddRow({Printable(ModelOf(store), 200), FormatBytes(store.manifest.DataBytes()),
                  std::string(NameOf(store.manifest.Pages())), NameOf(store.manifest.numa),
                  AgeText(AgeSeconds(store.manifest)),
                  store.stale.empty() ? "valid" : Printable(store.stale, 400)});
  }
  return WriteStdout(table.Format());
}

Status ListResident(const ResidentOptions& options) {
  ASSIGN_OR_RETURN(const std::optional<StoreDir> dir, StoreDir::Open(FolderOf(options)));
  std::vector<ResidentStore> stores;
  if (dir) {
    ASSIGN_OR_RETURN(stores, ListStores(*dir));
  }
  if (stores.empty() && !options.json) return WriteStdout("no weights are resident\n");
  return ShowStores(stores, options.json);
}

Status DropResident(const ResidentOptions& options) {
  if (options.all == !options.model.path.empty()) {
    return MakeFixableError(ErrorCode::kUsage, "-m FILE or --all",
                            "which weights to drop was not said");
  }
  ASSIGN_OR_RETURN(const std::optional<StoreDir> dir, StoreDir::Open(FolderOf(options)));
  std::vector<ResidentStore> dropped;
  if (dir) {
    std::optional<std::string> model_path;
    if (!options.all) model_path = SplitPartPaths(options.model.path).front();
    ASSIGN_OR_RETURN(dropped, DropStores(*dir, model_path));
  }
  if (dropped.empty() && !options.all) {
    return MakeFixableError(ErrorCode::kNoInput, "llm-run resident list",
                            "{}: no weights of it are resident", options.model.path);
  }
  std::string out;
  for (const ResidentStore& store : dropped) {
    out += fmt::format("{}  {} dropped\n", ModelOf(store), FormatBytes(store.manifest.DataBytes()));
  }
  return WriteStdout(out.empty() ? "no weights were resident\n" : out);
}

// --- options ---

using ResidentAct = Status (*)(const ResidentOptions&);

CLI::App* AddAct(CLI::App* parent, const char* name, const char* help,
                 const std::shared_ptr<ResidentOptions>& options, ResidentAct act,
                 CommandContext& context) {
  CLI::App* command = parent->add_subcommand(name, help);
  command
      ->add_option("--dir", options->dir,
                   "folder with the manifests (default: $LLMRUN_RESIDENT_DIR,\n"
                   "else /dev/shm/llm-run-<uid>)")
      ->type_name("DIR");
  command->callback([options, act, &context] {
    context.action = [options, act] { return Finish(act(*options)); };
  });
  return command;
}

}  // namespace

void AddResidentCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ResidentOptions>();
  CLI::App* command =
      app.add_subcommand("resident", "Keep weights in memory for later processes to attach")
          ->group(kGroupMachine);
  command->require_subcommand(1, 1);
  command->footer(
      "Any later command with --loader=resident (or auto) finds the weights in milliseconds.\n"
      "examples:\n"
      "  llm-run resident load -m model.gguf --hugepages=2M\n"
      "  llm-run --loader=resident -m model.gguf -p \"Hello\"\n"
      "  llm-run resident drop --all");

  CLI::App* load = AddAct(command, "load", "Load a model's weights and leave them", options,
                          LoadResident, context);
  AddModelOptions(*load, options->model);
  load->add_option("--hugepages", options->hugepages,
                   "2M, 1G (a hugetlbfs must be mounted), thp, off, auto (default)")
      ->type_name("H");
  load->add_option("--numa", options->numa,
                   "onto which nodes: auto (default), off, bind:N, interleave, shard or mirror")
      ->type_name("POLICY");
  load->add_option("--repack", options->repack,
                   "on (default): in the order in which the kernels read them; off: as in the file")
      ->type_name("R");

  CLI::App* list = AddAct(command, "list", "What is resident, and whether it is valid", options,
                          ListResident, context);
  list->add_flag("--json", options->json, "as JSON");

  CLI::App* drop = AddAct(command, "drop", "Take weights away; attached processes keep theirs",
                          options, DropResident, context);
  drop->add_option("-m,--model", options->model.path, "of this model")->type_name("FILE");
  drop->add_flag("--all", options->all, "of every model");
}

}  // namespace llmrun
