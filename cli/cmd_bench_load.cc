// llm-run bench-load: loaders x pages, cold or warm, repeated in random order. Every load ends when
// all bytes are in memory (mapped files: populated), so lazy mapping hides nothing.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <random>

#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/records.h"
#include "cli/report.h"
#include "cli/stats.h"
#include "loader/io/page_cache.h"
#include "loader/open_model.h"
#include "loader/weights.h"

namespace llmrun {
namespace {

constexpr uint32_t kOrderSeed = 1;

struct BenchLoadOptions {
  ModelOptions model;
  std::string loaders = "all";
  std::string hugepages = "auto";
  std::string cache = "cold";
  int rounds = 5;
  std::string format = "md";
};

struct Combination {
  LoaderKind loader = LoaderKind::kRead;
  HugePages hugepages = HugePages::kAuto;
  std::vector<LoadReport> loads;
};

Result<std::vector<Combination>> MakeCombinations(const BenchLoadOptions& options) {
  const std::string loaders =
      options.loaders == "all" ? "mmap,read,io_uring,splice" : options.loaders;
  std::vector<Combination> all;
  for (const std::string& loader : SplitCommas(loaders)) {
    const std::optional<LoaderKind> kind = ParseLoaderKind(loader);
    if (!kind) {
      return MakeFixableError(ErrorCode::kUsage,
                              "--loaders all or a list of mmap,read,io_uring,splice",
                              "'{}' is not a loader", loader);
    }
    for (const std::string& pages : SplitCommas(options.hugepages)) {
      const std::optional<HugePages> hugepages = ParseHugePages(pages);
      if (!hugepages) {
        return MakeFixableError(ErrorCode::kUsage, "a list of off,thp,2M,1G,auto",
                                "'{}' is not a kind of pages", pages);
      }
      // A mapping of a file has the pages of the page cache, whatever is asked: one row is enough.
      if (*kind == LoaderKind::kMmap && pages != SplitCommas(options.hugepages).front()) continue;
      all.push_back({*kind, *kind == LoaderKind::kMmap ? HugePages::kAuto : *hugepages, {}});
    }
  }
  if (all.empty()) return MakeError(ErrorCode::kUsage, "no loader or no kind of pages was named");
  return all;
}

// Bytes of the model's files that the page cache holds.
Result<uint64_t> CachedModelBytes(const TensorIndex& index) {
  uint64_t cached = 0;
  for (const GgufFile& file : index.files()) {
    ASSIGN_OR_RETURN(const FileCacheState state, ReadCacheState(file.label));
    ASSIGN_OR_RETURN(const uint64_t bytes, state.Cached());
    cached += bytes;
  }
  return cached;
}

// Cold: pages written back and dropped. Warm: the files read once.
Status PrepareCache(const TensorIndex& index, bool cold) {
  for (const GgufFile& file : index.files()) {
    RETURN_IF_ERROR(cold ? DropFromCache(file.label) : WarmCache(file.label));
  }
  return {};
}

Result<LoadReport> LoadOnce(const TensorIndex& index, const Machine& machine,
                            const Combination& combination, bool hash) {
  LoadOptions options;
  options.loader = combination.loader;
  options.hugepages = combination.hugepages;
  options.hash = hash;
  ASSIGN_OR_RETURN(const std::unique_ptr<Weights> weights, StartLoad(index, machine, options));
  return weights->Finish();
}

std::string PagesText(const Residency& r) {
  std::vector<std::string> parts;
  const std::pair<const char*, uint64_t> kinds[] = {
      {"1G", r.bytes_1g}, {"2M", r.bytes_2m}, {"THP", r.bytes_thp}, {"4K", r.bytes_4k}};
  for (const auto& [name, bytes] : kinds) {
    if (bytes > 0) parts.push_back(fmt::format("{} {}", FormatBytes(bytes), name));
  }
  return fmt::format("{}", fmt::join(parts, " + "));
}

Json CombinationRow(const Combination& c, const BenchLoadOptions& options, uint64_t hash) {
  std::vector<double> seconds;
  std::vector<double> first_layer;
  std::vector<double> cpu;
  std::vector<double> rates;
  uint64_t cached_most = 0;
  for (const LoadReport& load : c.loads) {
    seconds.push_back(load.seconds);
    first_layer.push_back(load.time_to_first_layer_seconds);
    cpu.push_back(load.cpu_seconds * static_cast<double>(kGiB) /
                  static_cast<double>(load.read_bytes));
    rates.push_back(load.BytesPerSecond() * 1e-9);
    cached_most = std::max(cached_most, load.cached_bytes_before.value_or(0));
  }
  const LoadReport& last = c.loads.back();
  const Stats time = Summarize(seconds);
  Json row;
  row["loader"] = NameOf(c.loader);
  row["used"] = last.loader;
  row["hugepages"] = c.loader == LoaderKind::kMmap ? "-" : NameOf(c.hugepages);
  row["cache"] = options.cache;
  row["pages"] = PagesText(last.residency);
  row["median_s"] = time.median;
  row["gb_per_s"] = Summarize(rates).median;
  row["iqr_s"] = time.iqr;
  row["min_s"] = time.min;
  row["first_layer_s"] = Summarize(first_layer).median;
  row["cpu_s_per_gib"] = Summarize(cpu).median;
  row["copies"] = last.copies;
  row["minor_faults"] = last.minor_faults;
  row["major_faults"] = last.major_faults;
  row["cached_bytes_before_max"] = cached_most;
  row["xxh3"] = FormatHash(hash);
  row["read_bytes"] = last.read_bytes;
  Json fallbacks = Json::array();
  for (const Fallback& fallback : last.fallbacks) fallbacks.push_back(FallbackJson(fallback));
  row["fallbacks"] = std::move(fallbacks);
  row["samples_s"] = seconds;
  return row;
}

// The untimed round: touches the memory that later rounds recycle, and hashes what came in.
Result<uint64_t> WarmUpAndHash(const TensorIndex& index, const Machine& machine,
                               const std::vector<Combination>& combinations) {
  std::optional<uint64_t> hash;
  for (const Combination& c : combinations) {
    ASSIGN_OR_RETURN(const LoadReport report, LoadOnce(index, machine, c, true));
    if (hash && *hash != report.xxh3) {
      return MakeError(ErrorCode::kBadData, "{} with {} pages loaded other bytes: {} instead of {}",
                       NameOf(c.loader), NameOf(c.hugepages), FormatHash(report.xxh3),
                       FormatHash(*hash));
    }
    hash = report.xxh3;
    for (const Fallback& fallback : report.fallbacks) Note("note   {}", fallback.OneLine());
  }
  return *hash;
}

Status BenchLoad(const BenchLoadOptions& options) {
  CatchInterrupts();
  ASSIGN_OR_RETURN(const RecordFormat format, ParseRecordFormat(options.format));
  ASSIGN_OR_RETURN(std::vector<Combination> combinations, MakeCombinations(options));
  ASSIGN_OR_RETURN(const std::string path, ModelPath(options.model));
  ASSIGN_OR_RETURN(const TensorIndex index, OpenModel(path));
  ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
  const bool cold = options.cache == "cold";
  Note("bench  {} in {} tensors, {} combinations x {} rounds, {}", FormatBytes(index.total_bytes()),
       index.tensors().size(), combinations.size(), options.rounds, options.cache);
  ASSIGN_OR_RETURN(const uint64_t hash, WarmUpAndHash(index, machine, combinations));

  std::mt19937 random(kOrderSeed);
  uint64_t left_in_cache = 0;
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<Combination*> order;
    for (Combination& c : combinations) order.push_back(&c);
    std::ranges::shuffle(order, random);
    for (Combination* c : order) {
      if (Interrupted()) return MakeError(ErrorCode::kUsage, "interrupted");
      RETURN_IF_ERROR(PrepareCache(index, cold));
      if (cold) {
        ASSIGN_OR_RETURN(const uint64_t cached, CachedModelBytes(index));
        left_in_cache = std::max(left_in_cache, cached);
      }
      ASSIGN_OR_RETURN(LoadReport report, LoadOnce(index, machine, *c, false));
      Note("round {}/{}  {:<8} {:<5} {} in {}", round + 1, options.rounds, NameOf(c->loader),
           NameOf(c->hugepages), FormatRate(report.read_bytes, report.seconds),
           FormatSeconds(report.seconds));
      c->loads.push_back(std::move(report));
    }
  }
  if (left_in_cache > index.total_bytes() / 100) {
    Note("note   not fully cold: up to {} stayed in the page cache", FormatBytes(left_in_cache));
  }
  std::vector<Json> rows;
  for (const Combination& c : combinations) rows.push_back(CombinationRow(c, options, hash));
  return WriteRecords(
      rows, format,
      {"loader", "used", "hugepages", "cache", "pages", "median_s", "gb_per_s", "iqr_s",
       "first_layer_s", "cpu_s_per_gib", "copies", "minor_faults", "major_faults", "xxh3"});
}

}  // namespace

void AddBenchLoadCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<BenchLoadOptions>();
  CLI::App* command =
      app.add_subcommand("bench-load", "Speed of loading, loader by loader")->group(kGroupMeasure);
  command->footer(
      "A load ends when every byte is in memory; mapped files are populated. One untimed round "
      "goes\n"
      "first, so that memory the machine never touched before is not measured. Cold means dropped\n"
      "from the page cache and checked.\n"
      "example:\n  llm-run bench-load -m model.gguf --loaders all --hugepages thp,2M --cache cold "
      "-r 5");
  AddModelOptions(*command, options->model);
  command->add_option("--loaders", options->loaders, "all, or a list of mmap,read,io_uring,splice")
      ->capture_default_str();
  command->add_option("--hugepages", options->hugepages, "a list of off,thp,2M,1G,auto")
      ->capture_default_str();
  command->add_option("--cache", options->cache, "cold or warm")
      ->capture_default_str()
      ->check(CLI::IsMember({"cold", "warm"}));
  command->add_option("-r,--rounds", options->rounds, "of every combination")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("-o,--output", options->format, "md, csv, json, jsonl")
      ->capture_default_str();
  command->callback(
      [options, &context] { context.action = [options] { return Finish(BenchLoad(*options)); }; });
}

}  // namespace llmrun
