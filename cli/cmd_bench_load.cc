// llm-run bench-load: loaders x pages x cache x threads, repeated in random order beside the limit
// of the device or the memory. Every load ends when all bytes are in memory (mapped files:
// populated), so lazy mapping hides nothing.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <random>

#include "base/units.h"
#include "cli/bench_load_limits.h"
#include "cli/bench_load_machine.h"
#include "cli/bench_load_measure.h"
#include "cli/bench_load_plan.h"
#include "cli/bench_load_plot.h"
#include "cli/bench_load_row.h"
#include "cli/bench_load_tokens.h"
#include "cli/command.h"
#include "cli/device_limit.h"
#include "cli/interrupt.h"
#include "cli/node_bandwidth.h"
#include "cli/output.h"
#include "cli/records.h"
#include "loader/io/page_cache.h"
#include "loader/open_model.h"
#include "loader/weights.h"
#include "model/model_config.h"

namespace llmrun {
namespace {

constexpr uint32_t kOrderSeed = 1;
constexpr int kCacheAttempts = 3;

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

// Brings the cache into the wanted state and looks whether it is; tried a few times.
Result<CacheState> PrepareVerified(const TensorIndex& index, bool cold) {
  const uint64_t file_bytes = ModelFileBytes(index);
  CacheState state;
  for (int attempt = 0; attempt < kCacheAttempts && !state.verified; ++attempt) {
    RETURN_IF_ERROR(PrepareCache(index, cold));
    ASSIGN_OR_RETURN(state.cached_bytes, CachedModelBytes(index));
    state.verified = cold ? state.cached_bytes <= file_bytes / 100
                          : state.cached_bytes >= file_bytes - file_bytes / 100;
  }
  return state;
}

// The untimed round: all combinations load the same bytes.
Result<uint64_t> WarmUpAndHash(const TensorIndex& index, const Machine& machine,
                               const std::vector<Combination>& combinations) {
  std::optional<uint64_t> hash;
  for (const Combination& c : combinations) {
    if (c.sweep || c.load.hash || c.cold != combinations.front().cold) continue;
    if (Interrupted()) return MakeError(ErrorCode::kUsage, "interrupted");
    LoadOptions options = c.load;
    options.hash = true;
    ASSIGN_OR_RETURN(const std::unique_ptr<Weights> weights, StartLoad(index, machine, options));
    ASSIGN_OR_RETURN(const LoadReport report, weights->Finish());
    if (hash && *hash != report.xxh3) {
      return MakeError(ErrorCode::kBadData, "{} loaded other bytes: {} instead of {}",
                       CombinationLabel(c), FormatHash(report.xxh3), FormatHash(*hash));
    }
    hash = report.xxh3;
    for (const Fallback& fallback : report.fallbacks) Note("note   {}", fallback.OneLine());
  }
  return *hash;
}

// Everything that is measured, and the rounds that measure it.
class LoadBench {
 public:
  LoadBench(const BenchLoadOptions& options, const TensorIndex& index, const Machine& machine,
            const std::vector<Combination>& combinations)
      : options_(options),
        index_(index),
        machine_(machine),
        cache_{.prepare = [&index](bool cold) { return PrepareVerified(index, cold); },
               .cached_bytes = [&index] { return CachedModelBytes(index); }},
        limits_(PrepareLimits(combinations, index, machine)) {
    for (const Combination& c : combinations) measurements_.push_back({c, {}, {}});
  }

  // Every load and every limit once a round, in random order; beside each load its tokens, before
  // or after it, so that both meet the same device.
  // Fails with what was measured in whole rounds.
  Status Run(const std::string& model_path) {
    const Status run = Rounds(model_path);
    for (Measurement& m : measurements_) m.KeepRounds(whole_rounds_);
    for (LimitSeries& limit : limits_) {
      limit.bytes_per_second.resize(std::min(whole_rounds_, limit.bytes_per_second.size()));
    }
    return run;
  }
  size_t whole_rounds() const { return whole_rounds_; }

  PlotData Rows(uint64_t hash) const {
    PlotData data;
    for (const Measurement& m : measurements_) {
      Json row =
          LoadRow(m, LimitOf(m.combination, limits_), FreshLimitOf(m.combination, limits_), hash);
      if (m.combination.sweep) {
        data.sweep.push_back(std::move(row));
        continue;
      }
      data.rows.push_back(std::move(row));
      data.progress.push_back(m.samples.back().progress);
    }
    return data;
  }

  Json Limits() const {
    Json limits = Json::array();
    for (const LimitSeries& limit : limits_) limits.push_back(limit.ToJson());
    return limits;
  }

 private:
  Status Rounds(const std::string& model_path) {
    std::mt19937 random(kOrderSeed);
    std::vector<std::function<Status(const std::string&)>> entries;
    for (Measurement& m : measurements_) {
      entries.emplace_back([this, &m, &random, &model_path](const std::string& round) -> Status {
        const bool tokens = options_.first_token && !m.combination.sweep;
        const bool tokens_first = random() % 2 == 0;
        if (tokens && tokens_first) RETURN_IF_ERROR(Tokens(round, model_path, &m));
        RETURN_IF_ERROR(Load(round, &m));
        if (tokens && !tokens_first) RETURN_IF_ERROR(Tokens(round, model_path, &m));
        return {};
      });
    }
    for (LimitSeries& limit : limits_) {
      entries.emplace_back(
          [this, &limit](const std::string& round) { return Limit(round, &limit); });
    }
    for (int round = 1; round <= options_.rounds; ++round) {
      std::ranges::shuffle(entries, random);
      for (const auto& entry : entries) {
        if (Interrupted()) return MakeError(ErrorCode::kUsage, "interrupted");
        RETURN_IF_ERROR(entry(fmt::format("round {}/{}", round, options_.rounds)));
      }
      ++whole_rounds_;
    }
    return {};
  }

  Status Load(const std::string& round, Measurement* m) {
    ASSIGN_OR_RETURN(LoadSample sample, MeasureLoad(m->combination, index_, machine_, cache_));
    const LoadReport& report = sample.report;
    const std::string label = CombinationLabel(m->combination);
    Note("{}  {:<28} {} in {}, reading {}", round, label,
         FormatRate(report.read_bytes, report.seconds), FormatSeconds(report.seconds),
         FormatRate(report.read_bytes, report.read_seconds));
    if (!sample.cache.verified) {
      Note("note   wanted {}, got a cache that holds {} of the file in spite of {} attempts", label,
           FormatBytes(sample.cache.cached_bytes), kCacheAttempts);
    }
    m->samples.push_back(std::move(sample));
    return {};
  }

  Status Limit(const std::string& round, LimitSeries* limit) {
    const bool device = limit->kind == LimitKind::kDevice;
    RETURN_IF_ERROR(cache_.prepare(device));
    TouchMemory(index_, HugePages::kThp, machine_);
    ASSIGN_OR_RETURN(const double bytes_per_second, limit->measure());
    Note("{}  {:<28} {:.2f} GB/s", round,
         device ? std::string("limit device")
                : fmt::format("limit {} {}", NameOf(limit->kind), NameOf(limit->hugepages)),
         bytes_per_second * 1e-9);
    limit->bytes_per_second.push_back(bytes_per_second);
    return {};
  }

  Status Tokens(const std::string& round, const std::string& model_path, Measurement* m) {
    RETURN_IF_ERROR(MeasureTokens(m->combination, model_path, options_.prompt_tokens, index_,
                                  machine_, cache_, &m->tokens));
    Note("{}  {:<28} first token {}, tenth {}", round, CombinationLabel(m->combination),
         FormatSeconds(m->tokens.first.back()), FormatSeconds(m->tokens.tenth.back()));
    return {};
  }

  const BenchLoadOptions& options_;
  const TensorIndex& index_;
  const Machine& machine_;
  const CacheControl cache_;
  std::vector<LimitSeries> limits_;
  std::vector<Measurement> measurements_;
  size_t whole_rounds_ = 0;
};

// In GB/s; null where it was not measured.
Json DeviceLimitOf(const Json& limits) {
  for (const Json& limit : limits) {
    if (limit.at("kind") == "device") return limit.at("gb_per_s");
  }
  return nullptr;
}

// For the reports of later loads. What cannot be kept costs nobody what was measured.
void KeepDeviceLimit(const TensorIndex& index, const Json& gb_per_s) {
  if (!gb_per_s.is_number()) return;
  const Status kept = SaveDeviceLimit(index, gb_per_s.get<double>() * 1e9, DeviceLimitFile());
  if (!kept) Note("note   the rate of the device was not kept: {}", kept.error().OneLine());
}

Json Document(Json machine, const TensorIndex& index, const PlotData& data, const Json& limits) {
  return {{"machine", std::move(machine)},
          {"file", DescribeModelFile(index)},
          {"device_limit_gb_per_s", DeviceLimitOf(limits)},
          {"rows", data.rows},
          {"sweep", data.sweep},
          {"limits", limits}};
}

// The exit code.
Result<int> BenchLoad(const BenchLoadOptions& options) {
  ASSIGN_OR_RETURN(const RecordFormat format, ParseRecordFormat(options.format));
  if (options.sweep && options.plot_dir.empty() && format != RecordFormat::kJson) {
    return MakeFixableError(ErrorCode::kUsage, "--plot DIR, or -o json",
                            "--sweep has no place in a table");
  }
  ASSIGN_OR_RETURN(const std::vector<Combination> combinations, PlanCombinations(options));
  std::optional<Plotter> plotter;
  if (!options.plot_dir.empty()) {
    ASSIGN_OR_RETURN(plotter, Plotter::Create(options.plot_dir));
  }
  ASSIGN_OR_RETURN(const std::string path, ModelFilePath(options.model));
  ASSIGN_OR_RETURN(const TensorIndex index, OpenModel(path));
  // Refused before anything is measured.
  if (options.first_token) RETURN_IF_ERROR(ReadModelConfig(index));
  ASSIGN_OR_RETURN(const Machine machine, ThisMachine());
  ASSIGN_OR_RETURN(Json machine_json, DescribeMachine(machine, index));
  Note("bench  {} in {} tensors, {} combinations x {} rounds, {}", FormatBytes(index.total_bytes()),
       index.tensors().size(), combinations.size(), options.rounds, options.cache);
  ASSIGN_OR_RETURN(const uint64_t hash, WarmUpAndHash(index, machine, combinations));
  LoadBench bench(options, index, machine, combinations);
  const Status run = bench.Run(path);
  if (!run) {
    if (!Interrupted() || bench.whole_rounds() == 0) return tl::unexpected<Error>(run.error());
    Note("note   interrupted: the figures are of {} rounds of {}", bench.whole_rounds(),
         options.rounds);
  }
  const PlotData data = bench.Rows(hash);
  const Json limits = bench.Limits();
  RETURN_IF_ERROR(format == RecordFormat::kJson
                      ? WriteJson(Document(std::move(machine_json), index, data, limits))
                      : WriteRecords(data.rows, format, MarkdownColumns(options.first_token)));
  KeepDeviceLimit(index, DeviceLimitOf(limits));
  if (plotter) RETURN_IF_ERROR(plotter->Draw(data));
  return run ? 0 : kInterruptedExit;
}

int RunBenchLoad(const BenchLoadOptions& options) {
  CatchInterrupts();
  const Result<int> code = BenchLoad(options);
  if (code) return *code;
  if (!Interrupted()) return Finish(tl::unexpected<Error>(code.error()));
  Note("note   interrupted before the end of a round");
  return kInterruptedExit;
}

void AddMeasuringFlags(CLI::App& command, BenchLoadOptions& options) {
  command
      .add_option("--loaders", options.loaders,
                  "all, or a list of mmap,read,io_uring,splice,auto,resident")
      ->capture_default_str();
  command.add_option("--hugepages", options.hugepages, "a list of off,thp,2M,1G,auto")
      ->capture_default_str();
  command.add_option("--cache", options.cache, "cold, warm or both")
      ->capture_default_str()
      ->check(CLI::IsMember({"cold", "warm", "both"}));
  command
      .add_option("--threads", options.threads,
                  "a list of numbers of I/O threads for read, splice and mmap; 0: chosen")
      ->capture_default_str();
  command.add_option("--io-poll", options.io_polls, "a list of none,sqpoll,iopoll, for io_uring")
      ->capture_default_str();
  command.add_option("-r,--rounds", options.rounds, "of every combination")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command.add_flag("--sweep", options.sweep,
                   "io_uring with 1 to 64 requests of 256K to 16M in flight, too");
  command.add_flag("--hash", options.hash,
                   "every load once more with its bytes hashed (XXH3) as they arrive");
  command.add_flag("--first-token", options.first_token,
                   "time from the beginning of a load to the first and the tenth token, too");
  command.add_option("--prompt-tokens", options.prompt_tokens, "length of the prompt for that")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
}

}  // namespace

void AddBenchLoadCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<BenchLoadOptions>();
  CLI::App* command =
      app.add_subcommand("bench-load", "Speed of loading, loader by loader")->group(kGroupMeasure);
  command->footer(
      "A load ends when every byte is in memory; mapped files are populated. Memory is touched\n"
      "and given back before each load, so that pages the machine has not used are not measured.\n"
      "Cold means dropped from the page cache and checked. The limit is measured in the same\n"
      "rounds: of the device by fio for cold loads, of copying in memory for warm ones.\n"
      "Ctrl-C ends it with the figures of the rounds that are whole.\n"
      "`resident` attaches to weights that `llm-run resident load -m FILE` has left in memory.\n"
      "example:\n"
      "  llm-run bench-load -m model.gguf --loaders all --hugepages off,thp --cache both -r 9");
  AddModelOptions(*command, options->model);
  AddMeasuringFlags(*command, *options);
  command->add_option("-o,--output", options->format, "md, csv, json, jsonl")
      ->capture_default_str();
  command->add_option("--plot", options->plot_dir, "draw charts (SVG) into this folder")
      ->type_name("DIR");
  command->callback(
      [options, &context] { context.action = [options] { return RunBenchLoad(*options); }; });
}

}  // namespace llmrun
