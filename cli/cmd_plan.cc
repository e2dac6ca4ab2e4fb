// llm-run plan: where the weights would go and which reads would bring them, without doing it; for
// this machine or for one that is only described.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/describe.h"
#include "cli/model_source.h"
#include "cli/node_bandwidth.h"
#include "cli/output.h"
#include "cli/report.h"
#include "loader/io/model_file.h"
#include "loader/plan/placement_plan.h"
#include "loader/plan/read_plan.h"
#include "memory/machine.h"
#include "memory/residency.h"

namespace llmrun {
namespace {

struct PlanOptions {
  ModelOptions model;
  LoaderFlags loader;
  std::string machine;  // hwloc synthetic description; empty: this one
  bool list_reads = false;
  bool json = false;
};

struct Planned {
  Machine machine;
  LoadOptions options;
  uint64_t cached_bytes = 0;
  PlacementPlan placement;
  BackendLimits limits;
  std::optional<ReadPlan> reads;  // unset when mapped
};

Result<uint64_t> CachedModelFiles(const TensorIndex& index) {
  uint64_t cached_bytes = 0;
  for (const GgufFile& file : index.files()) {
    ASSIGN_OR_RETURN(const ModelFile opened, OpenModelFile(file.label, file.file_bytes));
    ASSIGN_OR_RETURN(const std::optional<uint64_t> cached,
                     CachedBytes(opened.fd.get(), file.file_bytes));
    cached_bytes += cached.value_or(0);
  }
  return cached_bytes;
}

Result<Machine> MachineElsewhere(const std::string& description) {
  return description.ends_with(".xml") ? MachineFromXml(description)
                                       : SyntheticMachine(description);
}

Result<Planned> MakePlan(const PlanOptions& options, const ModelSource& source) {
  const TensorIndex& index = source.index;
  Planned planned;
  ASSIGN_OR_RETURN(planned.options, MakeLoadOptions(options.loader));
  planned.options.stream = source.stream.get();
  ASSIGN_OR_RETURN(planned.machine,
                   options.machine.empty() ? ThisMachine() : MachineElsewhere(options.machine));
  if (options.machine.empty() && !source.stream) {
    ASSIGN_OR_RETURN(planned.cached_bytes, CachedModelFiles(index));
  }
  ASSIGN_OR_RETURN(planned.placement, PlanPlacement(index, planned.machine, planned.options,
                                                    {.cached_bytes = planned.cached_bytes}));
  if (planned.placement.mapped) return planned;
  planned.limits = LoadLimits(planned.options.chunk_bytes);
  planned.limits.in_file_order = source.stream != nullptr;
  planned.reads = PlanReads(index, planned.placement, planned.limits);
  return planned;
}

std::vector<TensorTotal> GroupTotals(const TensorIndex& index) {
  std::vector<TensorTotal> totals(index.group_count());
  for (const IndexedTensor& tensor : index.tensors()) {
    ++totals[tensor.group].tensors;
    totals[tensor.group].bytes += tensor.extent.bytes;
  }
  return totals;
}

// --- JSON ---

Json ArenasJson(const PlacementPlan& plan) {
  Json arenas = Json::array();
  for (const ArenaPlan& arena : plan.arenas) {
    Json tiles = Json::array();
    for (const PageTile& tile : arena.tiles) {
      tiles.push_back({{"page", NameOf(tile.kind)},
                       {"count", PageCount(tile.bytes, PageBytes(tile.kind))},
                       {"bytes", tile.bytes}});
    }
    arenas.push_back({{"bytes", arena.bytes}, {"nodes", arena.nodes}, {"tiles", tiles}});
  }
  return arenas;
}

Json ReadsJson(const Planned& planned, bool list) {
  if (!planned.reads) return nullptr;
  Json json = {{"count", planned.reads->reads.size()},
               {"bytes", planned.reads->total_bytes},
               {"alignment", planned.limits.offset_alignment},
               {"max_bytes", planned.limits.max_request_bytes},
               {"max_request_bytes", planned.options.chunk_bytes}};
  if (!list) return json;
  json["list"] = Json::array();
  for (const PlannedRead& read : planned.reads->reads) {
    json["list"].push_back({{"file", read.file},
                            {"offset", read.file_offset},
                            {"bytes", read.bytes},
                            {"arena", read.arena},
                            {"arena_offset", read.arena_offset},
                            {"first_group", read.first_group},
                            {"last_group", read.last_group}});
  }
  return json;
}

Json PlanJson(const Planned& planned, const TensorIndex& index, bool list_reads) {
  const PlacementPlan& plan = planned.placement;
  Json segments = Json::array();
  for (const Segment& segment : plan.segments) {
    segments.push_back({{"file", segment.extent.file},
                        {"offset", segment.extent.offset},
                        {"bytes", segment.extent.bytes},
                        {"arena", segment.arena},
                        {"arena_offset", segment.arena_offset}});
  }
  Json groups = Json::array();
  const std::vector<TensorTotal> totals = GroupTotals(index);
  for (GroupId g = 0; g < index.group_count(); ++g) {
    groups.push_back({{"name", GroupName(g, index.group_count())},
                      {"tensors", totals[g].tensors},
                      {"bytes", totals[g].bytes},
                      {"reads", planned.reads ? Json(planned.reads->group_reads[g]) : nullptr}});
  }
  Json fallbacks = Json::array();
  for (const Fallback& f : plan.fallbacks) fallbacks.push_back(FallbackJson(f));
  return {{"model", index.files().front().label},
          {"files", index.files().size()},
          {"tensors", index.tensors().size()},
          {"tensor_bytes", index.total_bytes()},
          {"cached_bytes", planned.cached_bytes},
          {"requested", NameOf(planned.options.loader)},
          {"loader", NameOf(plan.loader)},
          {"hugepages_requested", NameOf(planned.options.hugepages)},
          {"numa_requested", NameOf(planned.options.numa)},
          {"numa", NameOf(plan.numa)},
          {"numa_rule", plan.numa_rule.empty() ? Json(nullptr) : Json(plan.numa_rule)},
          {"mapped", plan.mapped},
          {"arenas", ArenasJson(plan)},
          {"segments", segments},
          {"reads", ReadsJson(planned, list_reads)},
          {"groups", groups},
          {"fallbacks", fallbacks}};
}

// --- text ---

std::string TilesText(const std::vector<PageTile>& tiles) {
  std::string out;
  for (const PageTile& tile : tiles) {
    out += fmt::format("{}{} x {}", out.empty() ? "" : " + ", NameOf(tile.kind),
                       PageCount(tile.bytes, PageBytes(tile.kind)));
  }
  return out;
}

std::string PlacementText(const Planned& planned) {
  const PlacementPlan& plan = planned.placement;
  if (plan.mapped) return "place    mapped: pages of the page cache, nothing is copied or placed\n";
  std::string out;
  for (size_t i = 0; i < plan.arenas.size(); ++i) {
    const ArenaPlan& arena = plan.arenas[i];
    out += fmt::format("arena {}  {} on {} as {}\n", i, FormatBytes(arena.bytes),
                       arena.nodes.empty() ? "the loading node" : NameOf(arena.nodes),
                       TilesText(arena.tiles));
  }
  out += fmt::format(
      "reads    {} of at most {}, {} in all, aligned to {}, from {} segment{}, joined into "
      "requests of up to {}\n",
      planned.reads->reads.size(), FormatBytes(planned.limits.max_request_bytes),
      FormatBytes(planned.reads->total_bytes), FormatBytes(planned.limits.offset_alignment),
      plan.segments.size(), plan.segments.size() == 1 ? "" : "s",
      FormatBytes(planned.options.chunk_bytes));
  return out;
}

std::string GroupTable(const Planned& planned, const TensorIndex& index) {
  using enum Table::Align;
  const std::vector<TensorTotal> totals = GroupTotals(index);
  Table table({kLeft, kRight, kRight, kRight});
  table.AddRow({planned.limits.in_file_order ? "in file order" : "in this order", "tensors",
                "bytes", planned.reads ? "reads" : ""});
  for (GroupId g = 0; g < index.group_count(); ++g) {
    if (totals[g].tensors == 0) continue;
    table.AddRow({GroupName(g, index.group_count()), std::to_string(totals[g].tensors),
                  FormatBytes(totals[g].bytes),
                  planned.reads ? std::to_string(planned.reads->group_reads[g]) : ""});
  }
  return table.Format(2);
}

std::string ReadTable(const ReadPlan& reads) {
  using enum Table::Align;
  Table table({kRight, kRight, kRight, kRight, kRight, kRight});
  table.AddRow({"file", "offset", "bytes", "arena", "arena offset", "groups"});
  for (const PlannedRead& read : reads.reads) {
    table.AddRow({std::to_string(read.file), std::to_string(read.file_offset),
                  std::to_string(read.bytes), std::to_string(read.arena),
                  std::to_string(read.arena_offset),
                  fmt::format("{}-{}", read.first_group, read.last_group)});
  }
  return table.Format(2);
}

std::string MachineText(const Planned& planned, bool synthetic) {
  uint64_t free_1g = 0;
  uint64_t free_2m = 0;
  for (const NumaNode& node : planned.machine.nodes) {
    free_1g += node.pool_1g.free_pages;
    free_2m += node.pool_2m.free_pages;
  }
  return fmt::format("machine  {}{} node{}, {} CPUs, {} available, free pages 1G {} 2M {}\n",
                     synthetic ? "synthetic: " : "", planned.machine.nodes.size(),
                     planned.machine.nodes.size() == 1 ? "" : "s", planned.machine.cpus.size(),
                     FormatBytes(planned.machine.available_bytes), free_1g, free_2m);
}

std::string PlanText(const Planned& planned, const TensorIndex& index, bool synthetic,
                     bool list_reads) {
  std::string out = fmt::format(
      "model    {}  {} tensors in {} file{}, {} ({} cached)\n", index.files().front().label,
      index.tensors().size(), index.files().size(), index.files().size() == 1 ? "" : "s",
      FormatBytes(index.total_bytes()), FormatBytes(planned.cached_bytes));
  out += MachineText(planned, synthetic);
  out += fmt::format("loader   {} (asked: {})\n", NameOf(planned.placement.loader),
                     NameOf(planned.options.loader));
  if (!planned.placement.numa_rule.empty()) {
    out += fmt::format("numa     {}: {}\n", NameOf(planned.placement.numa),
                       planned.placement.numa_rule);
  }
  out += PlacementText(planned);
  for (const Fallback& f : planned.placement.fallbacks) out += "note     " + f.OneLine() + "\n";
  out += GroupTable(planned, index);
  if (list_reads && planned.reads) out += ReadTable(*planned.reads);
  return out;
}

Status Plan(const PlanOptions& options) {
  ASSIGN_OR_RETURN(const std::string path, ModelPath(options.model));
  ASSIGN_OR_RETURN(const ModelSource source, OpenSource(path));
  const TensorIndex& index = source.index;
  ASSIGN_OR_RETURN(const Planned planned, MakePlan(options, source));
  if (options.json) return WriteJson(PlanJson(planned, index, options.list_reads));
  return WriteStdout(PlanText(planned, index, !options.machine.empty(), options.list_reads));
}

}  // namespace

void AddPlanCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command =
      app.add_subcommand("plan", "Where weights would go and how they would be read")
          ->group(kGroupModel);
  AddModelOptions(*command, options->model);
  AddLoaderFlags(*command, options->loader);
  command
      ->add_option("--machine", options->machine,
                   "plan for another machine: lstopo's FILE.xml, or an hwloc synthetic one, e.g.\n"
                   "\"pack:2 numa:1 core:8 pu:2\"")
      ->type_name("MACHINE");
  command->add_flag("--reads", options->list_reads, "list every read");
  command->add_flag("--json", options->json, "as JSON");
  command->footer("example:\n  llm-run plan -m model.gguf --loader=io_uring --hugepages=1G");
  command->callback(
      [options, &context] { context.action = [options] { return Finish(Plan(*options)); }; });
}

}  // namespace llmrun
