// llm-run hugepages: the pools of 2M and 1G pages; how many a model takes, and how to get them.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/model_source.h"
#include "cli/node_bandwidth.h"
#include "cli/output.h"
#include "loader/plan/hugepage_needs.h"
#include "memory/hugepage_pool.h"
#include "memory/machine.h"

namespace llmrun {
namespace {

struct HugepagesOptions {
  ModelOptions model;
  std::string size;  // "2M" or "1G"
  std::string policy = "try";
  uint64_t count = 0;
  std::optional<unsigned> node;
  std::string numa;  // empty: auto, or as `node` says
  bool all = false;
  bool json = false;
};

Result<PageKind> PoolKind(const std::string& size) {
  const std::optional<HugePages> pages = ParseHugePages(size);
  if (pages == HugePages::k2M) return PageKind::k2M;
  if (pages == HugePages::k1G) return PageKind::k1G;
  return MakeError(ErrorCode::kUsage, "--size={}: expected 2M or 1G", size);
}

constexpr int kMostPages = std::numeric_limits<int>::max();

// --- status ---

Status ShowStatus(const HugepagesOptions& options) {
  using enum Table::Align;
  ASSIGN_OR_RETURN(const std::vector<PoolStatus> pools, HugePoolStatus());
  if (options.json) {
    Json json = Json::array();
    for (const PoolStatus& pool : pools) {
      json.push_back({{"node", pool.node},
                      {"size", NameOf(pool.kind)},
                      {"total", pool.total_pages},
                      {"free", pool.free_pages}});
    }
    return WriteJson({{"pools", json}});
  }
  if (pools.empty()) return WriteStdout("this kernel offers no huge pages\n");
  Table table({kRight, kRight, kRight, kRight, kRight, kRight});
  table.AddRow({"node", "size", "total", "free", "in use", "bytes"});
  for (const PoolStatus& pool : pools) {
    table.AddRow({std::to_string(pool.node), std::string(NameOf(pool.kind)),
                  std::to_string(pool.total_pages), std::to_string(pool.free_pages),
                  std::to_string(pool.total_pages - pool.free_pages),
                  FormatBytes(pool.total_pages * PageBytes(pool.kind))});
  }
  return WriteStdout(table.Format());
}

// --- plan ---

Result<NumaPolicy> NumaOf(const HugepagesOptions& options) {
  if (!options.node) return ParseNuma(options.numa.empty() ? "auto" : options.numa);
  if (options.numa.empty()) return BindTo(*options.node);
  return MakeFixableError(ErrorCode::kUsage, fmt::format("--numa=bind:{}", *options.node),
                          "--node={} and --numa={} both say where", *options.node, options.numa);
}

Result<HugePageNeeds> NeedsOf(const HugepagesOptions& options) {
  HugePageWish wish;
  ASSIGN_OR_RETURN(wish.kind, PoolKind(options.size.empty() ? "1G" : options.size));
  const std::optional<HugePagesPolicy> policy = ParseHugePagesPolicy(options.policy);
  if (!policy) {
    return MakeError(ErrorCode::kUsage, "--hugepages-policy={}: expected try or require",
                     options.policy);
  }
  wish.policy = *policy;
  ASSIGN_OR_RETURN(wish.numa, NumaOf(options));
  ASSIGN_OR_RETURN(const std::string path, ModelPath(options.model));
  ASSIGN_OR_RETURN(const ModelSource source, OpenSource(path));
  ASSIGN_OR_RETURN(const Machine machine, ThisMachine());
  return PlanHugePages(source.index, machine, wish);
}

Json NeedsJson(const HugePageNeeds& needs) {
  Json pools = Json::array();
  for (const HugePageNeed& need : needs.pools) {
    pools.push_back(
        {{"node", need.change.node},
         {"size", NameOf(need.change.kind)},
         {"pages", need.change.pages},
         {"free", need.free_pages},
         {"missing", need.missing()},
         {"command", need.missing() > 0 ? Json(ReserveCommand(need.change)) : nullptr}});
  }
  return {{"model", needs.model},
          {"numa", NameOf(needs.numa)},
          {"arena_bytes", needs.arena_bytes},
          {"pools", pools},
          {"other_pages_bytes", needs.other_bytes}};
}

Status ShowPlan(const HugepagesOptions& options) {
  ASSIGN_OR_RETURN(const HugePageNeeds needs, NeedsOf(options));
  if (options.json) return WriteJson(NeedsJson(needs));
  std::string out = fmt::format("model   {}  {} of memory, numa {}\n", needs.model,
                                FormatBytes(needs.arena_bytes), NameOf(needs.numa));
  for (const HugePageNeed& need : needs.pools) {
    out += fmt::format("node {}  {} pages: {} needed, {} free{}\n", need.change.node,
                       NameOf(need.change.kind), need.change.pages, need.free_pages,
                       need.missing() == 0 ? ", enough" : "");
  }
  out += fmt::format("rest    {} in ordinary pages\n", FormatBytes(needs.other_bytes));
  for (const HugePageNeed& need : needs.pools) {
    if (need.missing() > 0) out += fmt::format("run     {}\n", ReserveCommand(need.change));
  }
  return WriteStdout(out);
}

// --- reserve, release ---

Result<std::vector<PoolChange>> ChangesToReserve(const HugepagesOptions& options) {
  std::vector<PoolChange> changes;
  if (options.count > 0) {
    if (!options.numa.empty()) {
      return MakeFixableError(ErrorCode::kUsage, "--node=N, once a node",
                              "--numa={} says what -m takes, not where --count is to be",
                              options.numa);
    }
    PoolChange change;
    ASSIGN_OR_RETURN(change.kind, PoolKind(options.size));
    ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
    change.node = options.node.value_or(machine.nodes.front().os_index);
    change.pages = options.count;
    changes.push_back(change);
    return changes;
  }
  ASSIGN_OR_RETURN(const HugePageNeeds needs, NeedsOf(options));
  for (const HugePageNeed& need : needs.pools) changes.push_back(need.change);
  return changes;
}

Status Reserve(const HugepagesOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<PoolChange> changes, ChangesToReserve(options));
  if (changes.empty()) return WriteStdout("the model is smaller than one huge page\n");
  std::string out;
  for (const PoolChange& change : changes) {
    ASSIGN_OR_RETURN(const uint64_t added, ReserveHugePages(change));
    out += fmt::format("node {}  {} pages of {} are free, {} of them new\n", change.node,
                       change.pages, NameOf(change.kind), added);
  }
  return WriteStdout(out);
}

Status Release(const HugepagesOptions& options) {
  if (options.all == (options.count > 0)) {
    return MakeFixableError(ErrorCode::kUsage, "--count=N or --all", "how many pages to release {}",
                            options.all ? "was said twice" : "was not said");
  }
  std::optional<PageKind> kind;
  if (!options.size.empty()) {
    ASSIGN_OR_RETURN(kind, PoolKind(options.size));
  } else if (!options.all) {
    return MakeError(ErrorCode::kUsage, "--count needs --size=2M or --size=1G");
  }
  ASSIGN_OR_RETURN(const std::vector<PoolStatus> pools, HugePoolStatus());
  uint64_t rest = options.all ? std::numeric_limits<uint64_t>::max() : options.count;
  std::string out;
  for (const PoolStatus& pool : pools) {
    if ((kind && pool.kind != *kind) || (options.node && pool.node != *options.node)) continue;
    ASSIGN_OR_RETURN(const uint64_t released,
                     ReleaseHugePages({pool.node, pool.kind, std::min(rest, pool.free_pages)}));
    rest -= released;
    out += fmt::format("node {}  {} pages of {} released, {} left\n", pool.node, released,
                       NameOf(pool.kind), pool.total_pages - released);
  }
  if (out.empty())
    return MakeError(ErrorCode::kUsage, "no such pool; see llm-run hugepages status");
  return WriteStdout(out);
}

// --- options ---

using Act = Status (*)(const HugepagesOptions&);

void SetAction(CLI::App* command, const std::shared_ptr<HugepagesOptions>& options, Act act,
               CommandContext& context) {
  command->callback([options, act, &context] {
    context.action = [options, act] { return Finish(act(*options)); };
  });
}

void AddSize(CLI::App* command, HugepagesOptions& options, const char* help) {
  command->add_option("--size", options.size, help)->type_name("2M|1G");
}

void AddNode(CLI::App* command, HugepagesOptions& options, const char* help) {
  command->add_option("--node", options.node, help)->type_name("N");
}

void AddModelWish(CLI::App* command, HugepagesOptions& options) {
  AddModelOptions(*command, options.model);
  command
      ->add_option("--numa", options.numa,
                   "as the model will be run with: auto (default), off, bind:N, interleave, shard "
                   "or mirror")
      ->type_name("POLICY");
  command
      ->add_option("--hugepages-policy", options.policy,
                   "as the model will be run with: try (default) or require")
      ->type_name("P");
}

}  // namespace

void AddHugepagesCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<HugepagesOptions>();
  CLI::App* command = app.add_subcommand("hugepages", "See, plan, reserve and release huge pages")
                          ->group(kGroupMachine);
  command->require_subcommand(1, 1);
  command->footer(
      "examples:\n"
      "  llm-run hugepages plan -m model.gguf --size=1G\n"
      "  sudo llm-run hugepages reserve -m model.gguf --size=1G\n"
      "  sudo llm-run hugepages release --all");

  CLI::App* status = command->add_subcommand("status", "Pages of each node and size");
  status->add_flag("--json", options->json, "as JSON");
  SetAction(status, options, ShowStatus, context);

  CLI::App* plan =
      command->add_subcommand("plan", "What a model will take, and the command for it");
  AddModelWish(plan, *options);
  AddSize(plan, *options, "largest page to use (default: 1G)");
  AddNode(plan, *options, "the same as --numa=bind:N");
  plan->add_flag("--json", options->json, "as JSON");
  SetAction(plan, options, ShowPlan, context);

  CLI::App* reserve = command->add_subcommand("reserve", "Make so many pages free (as root)");
  AddModelWish(reserve, *options);
  AddSize(reserve, *options, "2M or 1G; with -m the largest page to use");
  reserve->add_option("--count", options->count, "free pages wanted; without it, what -m takes")
      ->type_name("N")
      ->check(PlainRange(1, kMostPages));
  AddNode(reserve, *options, "on this node (default: the first one, or as --numa says)");
  SetAction(reserve, options, Reserve, context);

  CLI::App* release = command->add_subcommand("release", "Give free pages back (as root)");
  AddSize(release, *options, "2M or 1G (default with --all: both)");
  release->add_option("--count", options->count, "how many")
      ->type_name("N")
      ->check(PlainRange(1, kMostPages));
  AddNode(release, *options, "on this node (default: on every one)");
  release->add_flag("--all", options->all, "every free page");
  SetAction(release, options, Release, context);
}

}  // namespace llmrun
