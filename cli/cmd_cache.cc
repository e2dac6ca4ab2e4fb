// llm-run cache: what the page cache holds of model files; bringing them in, and dropping them.

#include <linux/magic.h>
#include <sys/vfs.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/fallback.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/output.h"
#include "loader/io/page_cache.h"
#include "loader/load_options.h"
#include "loader/open_model.h"
#include "loader/plan/numa_nodes.h"
#include "memory/limits.h"
#include "memory/machine.h"

namespace llmrun {
namespace {

struct CacheOptions {
  ModelOptions model;
  std::vector<std::string> files;
  std::string numa = "off";
  bool json = false;
};

// All parts of every model named, each once. By their names only: to look into a file would bring
// some of it into the page cache.
Result<std::vector<std::string>> CachePaths(const CacheOptions& options) {
  std::vector<std::string> named = options.files;
  if (named.empty() || !options.model.path.empty()) {
    ASSIGN_OR_RETURN(const std::string model, ModelFilePath(options.model));
    named.insert(named.begin(), model);
  }
  std::vector<std::string> paths;
  for (const std::string& name : named) {
    ASSIGN_OR_RETURN(const std::vector<std::string> parts, ModelPartPaths(name));
    for (const std::string& part : parts) {
      if (std::ranges::find(paths, part) == paths.end()) paths.push_back(part);
    }
  }
  return paths;
}

using CacheStates = std::vector<FileCacheState>;

Result<CacheStates> ReadCacheStates(const std::vector<std::string>& paths) {
  CacheStates states;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(FileCacheState state, ReadCacheState(path));
    states.push_back(std::move(state));
  }
  return states;
}

// The sum of the files; `cached_bytes` is unset where that of one of them is.
FileCacheState SumOf(const CacheStates& states) {
  FileCacheState sum{"total", 0, 0};
  for (const FileCacheState& state : states) {
    sum.file_bytes += state.file_bytes;
    if (!state.cached_bytes) sum.cached_bytes.reset();
    if (sum.cached_bytes) *sum.cached_bytes += *state.cached_bytes;
  }
  return sum;
}

// Of an empty file all is there.
double CachedPercent(const FileCacheState& state) {
  if (state.file_bytes == 0) return 100;
  return 100.0 * static_cast<double>(*state.cached_bytes) / static_cast<double>(state.file_bytes);
}

std::vector<std::string> CacheCells(const std::string& name, const FileCacheState& state) {
  if (!state.cached_bytes) return {FormatBytes(state.file_bytes), "not told", "", name};
  return {FormatBytes(state.file_bytes), FormatBytes(*state.cached_bytes),
          fmt::format("{:.1f}%", CachedPercent(state)), name};
}

Json CacheJson(const FileCacheState& state) {
  Json json = {{"file_bytes", state.file_bytes}, {"cached_bytes", nullptr}, {"percent", nullptr}};
  if (state.cached_bytes) {
    json["cached_bytes"] = *state.cached_bytes;
    json["percent"] = CachedPercent(state);
  }
  return json;
}

// `more` is put in front of the JSON document.
Status WriteCacheStates(const CacheStates& states, bool as_json, Json more = Json::object()) {
  if (as_json) {
    more["files"] = Json::array();
    for (const FileCacheState& state : states) {
      Json json = {{"path", state.path}};
      json.update(CacheJson(state));
      more["files"].push_back(std::move(json));
    }
    more["total"] = CacheJson(SumOf(states));
    return WriteJson(more);
  }
  using enum Table::Align;
  Table table({kRight, kRight, kRight, kLeft});
  table.AddRow({"size", "cached", "", "file"});
  for (const FileCacheState& state : states) {
    table.AddRow(CacheCells(Printable(state.path, state.path.size()), state));
  }
  table.AddRow(CacheCells("total", SumOf(states)));
  return WriteStdout(table.Format());
}

// --- status ---

Status ShowCache(const CacheOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::string> paths, CachePaths(options));
  ASSIGN_OR_RETURN(const CacheStates states, ReadCacheStates(paths));
  for (const FileCacheState& state : states) RETURN_IF_ERROR(state.Cached());
  return WriteCacheStates(states, options.json);
}

// --- warm ---

// More than the memory can hold would push out what was read first, and what others need.
Status CheckFitsIntoMemory(const FileCacheState& sum) {
  if (sum.cached_bytes == sum.file_bytes) return {};
  ASSIGN_OR_RETURN(const Limits limits, ReadLimits());
  if (sum.file_bytes <= limits.available_bytes) return {};
  return MakeFixableError(ErrorCode::kResource,
                          "free memory, or load with --loader=io_uring, which needs no page cache",
                          "{} of files do not fit into the page cache: {} are available ({})",
                          FormatBytes(sum.file_bytes), FormatBytes(limits.available_bytes),
                          limits.available_source);
}

void NoteNotTold(const CacheStates& states) {
  for (const FileCacheState& state : states) {
    if (const auto cached = state.Cached(); !cached) Note("note   {}", cached.error().OneLine());
  }
}

// Of `--numa`; none for "off".
Result<NodeSet> NodesOfCache(const CacheOptions& options) {
  const std::optional<NumaPolicy> policy = ParseNumaPolicy(options.numa);
  const bool known = policy && (policy->mode == NumaMode::kOff || policy->mode == NumaMode::kBind ||
                                policy->mode == NumaMode::kInterleave);
  if (!known) {
    return MakeError(ErrorCode::kUsage, "--numa={}: expected off, bind:N or interleave",
                     options.numa);
  }
  ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
  return NodesFor(*policy, machine);
}

// Pages that are cached elsewhere are dropped, so that they are read anew. Says where all are then.
Status WarmOnNodes(const std::vector<std::string>& paths, const NodeSet& nodes) {
  for (const std::string& path : paths) RETURN_IF_ERROR(DropFromCache(path));
  Residency placed;
  for (const std::string& path : paths) {
    RETURN_IF_ERROR(WarmCache(path, nodes));
    ASSIGN_OR_RETURN(const Residency found, PlaceOfCache(path));
    placed += found;
  }
  const uint64_t all_bytes = placed.PlacedBytes();
  std::string text;
  for (const auto& [node, bytes] : placed.node_bytes) {
    text += fmt::format("  node{} {:.1f}%", node,
                        100.0 * static_cast<double>(bytes) / static_cast<double>(all_bytes));
  }
  Note("placed{}", text.empty() ? "  not told" : text);
  return {};
}

Status WarmFiles(const CacheOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::string> paths, CachePaths(options));
  ASSIGN_OR_RETURN(const NodeSet nodes, NodesOfCache(options));
  ASSIGN_OR_RETURN(const CacheStates before, ReadCacheStates(paths));
  const FileCacheState sum = SumOf(before);
  RETURN_IF_ERROR(CheckFitsIntoMemory(sum));
  const Stopwatch watch;
  if (nodes.empty()) {
    for (const std::string& path : paths) RETURN_IF_ERROR(WarmCache(path));
  } else {
    RETURN_IF_ERROR(WarmOnNodes(paths, nodes));
  }
  const double seconds = watch.Seconds();
  ASSIGN_OR_RETURN(const CacheStates after, ReadCacheStates(paths));
  Note("warm   {} read in {} ({})", FormatBytes(sum.file_bytes), FormatSeconds(seconds),
       FormatRate(sum.file_bytes, seconds));
  NoteNotTold(after);
  return WriteCacheStates(
      after, options.json,
      {{"read_bytes", sum.file_bytes},
       {"seconds", seconds},
       {"gb_per_s", static_cast<double>(sum.file_bytes) / std::max(seconds, 1e-9) / 1e9}});
}

// --- drop ---

void NoteWhatStayed(const CacheStates& states) {
  for (const FileCacheState& state : states) {
    const uint64_t stayed = state.cached_bytes.value_or(0);
    if (stayed == 0) continue;
    Fallback fallback{"nothing of " + Printable(state.path, state.path.size()) + " cached",
                      FormatBytes(stayed), "a process has these pages mapped or locked",
                      "end what `fuser -v FILE` names, then drop again"};
    struct statfs info = {};
    if (::statfs(state.path.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC) {
      fallback.why = "a file in tmpfs lies in the page cache and nowhere else";
      fallback.fix = "use a file on a disk";
    }
    Note("note   {}", fallback.OneLine());
  }
}

Status DropFiles(const CacheOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::string> paths, CachePaths(options));
  for (const std::string& path : paths) RETURN_IF_ERROR(DropFromCache(path));
  ASSIGN_OR_RETURN(const CacheStates states, ReadCacheStates(paths));
  NoteWhatStayed(states);
  NoteNotTold(states);
  return WriteCacheStates(states, options.json);
}

// --- options ---

using CacheAct = Status (*)(const CacheOptions&);

CLI::App* AddCacheAct(CLI::App& command, const char* name, const char* help, CacheAct act,
                      const std::shared_ptr<CacheOptions>& options, CommandContext& context) {
  CLI::App* sub = command.add_subcommand(name, help);
  AddModelOption(*sub, options->model);
  sub->add_option("FILE", options->files, "files, or any part of a split model")->type_name("");
  sub->add_flag("--json", options->json, "as JSON");
  sub->callback([options, act, &context] {
    context.action = [options, act] { return Finish(act(*options)); };
  });
  return sub;
}

}  // namespace

void AddCacheCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<CacheOptions>();
  CLI::App* command = app.add_subcommand("cache", "Model files and the page cache: see, warm, drop")
                          ->group(kGroupMeasure);
  command->require_subcommand(1, 1);
  command->footer(
      "Of a split model every part is taken, whichever one is named.\n"
      "examples:\n"
      "  llm-run cache status -m model.gguf\n"
      "  llm-run cache warm a.gguf b-00001-of-00003.gguf\n"
      "  llm-run cache drop -m model.gguf");
  AddCacheAct(*command, "status", "Bytes and share of each file that are cached", ShowCache,
              options, context);
  CLI::App* warm = AddCacheAct(*command, "warm", "Read the files into the page cache", WarmFiles,
                               options, context);
  warm->add_option("--numa", options->numa,
                   "onto which nodes: bind:N, or interleave over all with CPUs; what is\n"
                   "cached elsewhere is dropped first (default: off)")
      ->type_name("N");
  AddCacheAct(*command, "drop", "Write back and drop their cached pages", DropFiles, options,
              context);
}

}  // namespace llmrun
