// llm-run bench: prompt and decode speed, without loading. Field names are those of llama-bench, so
// that tools which read its output read this one; the memory roof is measured beside every decode.
#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/stopwatch.h"
#include "cli/bandwidth.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/engine.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "cli/records.h"
#include "cli/session_flags.h"
#include "cli/stats.h"
#include "cli/step_profile.h"
#include "cli/thread_options.h"

namespace llmrun {
namespace {

struct BenchOptions {
  ModelOptions model;
  LoaderFlags loader;
  SessionFlags session;
  std::string thread_list;  // empty: the default count
  ThreadFlags threads;      // all but the counts
  std::string prompt = "512";
  std::string generate = "128";
  int64_t repetitions = 5;
  std::string format = "md";
};

// One row of the table: prompt processing (generate 0) or decoding (prompt 0).
struct BenchCase {
  int64_t n_prompt = 0;
  int64_t n_gen = 0;
  int64_t n_threads = 1;
};

// Bytes of weights that one decoded token reads: all but the embedding table, of which it reads one
// row, unless the table is also the output matrix.
uint64_t WeightBytesPerToken(const TensorIndex& index) {
  const bool tied = !index.Find("output.weight").has_value();
  uint64_t bytes = 0;
  for (const IndexedTensor& tensor : index.tensors()) {
    if (tensor.name != "token_embd.weight" || tied) bytes += tensor.extent.bytes;
  }
  return bytes;
}

Result<double> RunOnce(Session& session, const BenchCase& c, const std::vector<TokenId>& ids) {
  session.Truncate(0);
  const Stopwatch watch;
  if (c.n_prompt > 0) {
    RETURN_IF_ERROR(session.Forward(ids, LogitsOf::kLast));
  } else {
    for (const TokenId id : ids) {
      RETURN_IF_ERROR(session.Forward(std::span(&id, 1), LogitsOf::kLast));
    }
  }
  return watch.Seconds();
}

std::string TimeNow() {
  char text[32];
  const std::time_t now = std::time(nullptr);
  std::tm utc = {};
  ::gmtime_r(&now, &utc);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Json ModelFields(const Engine& engine, const std::string& path) {
  uint64_t params = 0;
  std::map<std::string_view, uint64_t> bytes_by_type;
  for (const IndexedTensor& t : engine.index->tensors()) {
    params += t.dims[0] * t.dims[1] * t.dims[2] * t.dims[3];
    bytes_by_type[NameOf(t.dtype)] += t.extent.bytes;
  }
  std::string_view main_type;
  for (const auto& [type, bytes] : bytes_by_type) {
    if (main_type.empty() || bytes > bytes_by_type[main_type]) main_type = type;
  }
  Json row;
  row["build_commit"] = LLMRUN_VERSION;
  row["cpu_info"] = engine.machine.cpu_model;
  row["backends"] = "CPU";
  row["isa"] = NameOf(engine.isa);
  row["model_filename"] = path;
  row["model_type"] = fmt::format("{} {}", engine.config.architecture, main_type);
  row["model_size"] = engine.index->total_bytes();
  row["model_n_params"] = params;
  return row;
}

struct Measured {
  std::vector<double> seconds;
  double bandwidth_bytes_per_second = 0;
  StepProfile profile;  // of all repetitions
  uint64_t throttled_periods = 0;
};

// For each token: steps of work, system calls to sleep and to wake others, context switches.
void AddProfile(const Measured& measured, double tokens, Json* row) {
  const StepProfile& profile = measured.profile;
  const auto each = [&](uint64_t n) { return static_cast<double>(n) / tokens; };
  (*row)["steps_per_token"] = each(profile.steps);
  (*row)["futex_waits_per_token"] = each(profile.sleeps);
  (*row)["futex_wakes_per_token"] = each(profile.wakes);
  (*row)["voluntary_switches_per_token"] = each(profile.voluntary_switches);
  (*row)["involuntary_switches_per_token"] = each(profile.involuntary_switches);
  (*row)["throttled_periods"] = measured.throttled_periods;
}

Json CaseRow(Json row, const BenchCase& c, const SessionOptions& session, const Measured& measured,
             uint64_t bytes_per_token) {
  const double tokens = static_cast<double>(c.n_prompt + c.n_gen);
  std::vector<double> ns;
  std::vector<double> rates;
  for (const double s : measured.seconds) {
    ns.push_back(s * 1e9);
    rates.push_back(tokens / s);
  }
  const Stats time = Summarize(ns);
  const Stats rate = Summarize(rates);
  row["n_batch"] = session.n_batch;
  row["n_ubatch"] = session.n_batch;
  row["n_threads"] = c.n_threads;
  row["type_k"] = NameOf(session.kv_type);
  row["type_v"] = NameOf(session.kv_type);
  row["n_prompt"] = c.n_prompt;
  row["n_gen"] = c.n_gen;
  row["n_depth"] = 0;
  row["test"] = c.n_prompt > 0 ? fmt::format("pp{}", c.n_prompt) : fmt::format("tg{}", c.n_gen);
  row["test_time"] = TimeNow();
  row["avg_ns"] = static_cast<uint64_t>(time.mean);
  row["stddev_ns"] = static_cast<uint64_t>(time.stddev);
  row["avg_ts"] = rate.mean;
  row["stddev_ts"] = rate.stddev;
  row["median_ts"] = rate.median;
  const double roof = measured.bandwidth_bytes_per_second;
  row["memory_gb_per_s"] = roof * 1e-9;
  row["weight_bytes_per_token"] = bytes_per_token;
  // A prompt reads the weights once for many tokens: the memory is not its roof.
  row["memory_roof_percent"] =
      c.n_gen > 0 ? Json(100 * rate.median * static_cast<double>(bytes_per_token) / roof) : Json();
  AddProfile(measured, tokens * static_cast<double>(measured.seconds.size()), &row);
  row["samples_ns"] = ns;
  row["samples_ts"] = rates;
  return row;
}

Result<Json> RunCase(Engine& engine, const BenchOptions& options, const BenchCase& c,
                     const std::string& path) {
  // It gives our thread its affinity back; the next one takes it.
  engine.workers = {};
  ASSIGN_OR_RETURN(WorkerOptions workers, MakeWorkerOptions(options.threads));
  workers.threads = static_cast<int>(c.n_threads);
  ASSIGN_OR_RETURN(engine.workers,
                   MakeWorkers(engine.machine, engine.weights->plan().nodes, workers));
  ThreadPool& pool = *engine.workers.pool;
  NoteNodesWithoutThreads(engine.weights->plan(), pool);
  ASSIGN_OR_RETURN(SessionOptions session_options, MakeSessionOptions(options.session));
  if (session_options.n_ctx == 0)
    session_options.n_ctx = std::max(c.n_prompt + c.n_gen, int64_t{1});
  session_options.interrupted = Interrupted;
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, engine.NewSession(session_options));
  const std::vector<TokenId> ids = SomeTokens(c.n_prompt + c.n_gen, engine.config.n_vocab);
  RETURN_IF_ERROR(RunOnce(*session, c, ids));  // warm-up
  Measured measured;
  const StepProfile before = StepProfile::Of(pool);
  for (int64_t i = 0; i < options.repetitions; ++i) {
    ASSIGN_OR_RETURN(const double seconds, RunOnce(*session, c, ids));
    measured.seconds.push_back(seconds);
  }
  measured.profile = StepProfile::Of(pool).Since(before);
  measured.throttled_periods = engine.workers.keeper->throttled().periods;
  ASSIGN_OR_RETURN(measured.bandwidth_bytes_per_second, MeasureReadBandwidth(pool));
  BenchCase used = c;
  used.n_threads = pool.team()->size();
  return CaseRow(ModelFields(engine, path), used, session_options, measured,
                 WeightBytesPerToken(*engine.index));
}

Result<std::vector<BenchCase>> MakeCases(const BenchOptions& options, int default_threads) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> prompts, ParseNumberList(options.prompt, 0));
  ASSIGN_OR_RETURN(const std::vector<int64_t> generates, ParseNumberList(options.generate, 0));
  std::vector<int64_t> threads = {default_threads};
  if (!options.thread_list.empty()) {
    ASSIGN_OR_RETURN(threads, ParseNumberList(options.thread_list, 1));
  }
  std::vector<BenchCase> cases;
  for (const int64_t t : threads) {
    for (const int64_t p : prompts) {
      if (p > 0) cases.push_back({p, 0, t});
    }
    for (const int64_t g : generates) {
      if (g > 0) cases.push_back({0, g, t});
    }
  }
  return cases;
}

Status Bench(const BenchOptions& options) {
  CatchInterrupts();
  ASSIGN_OR_RETURN(const RecordFormat format, ParseRecordFormat(options.format));
  EngineOptions engine_options;
  ASSIGN_OR_RETURN(engine_options.model_path, ModelPath(options.model));
  ASSIGN_OR_RETURN(engine_options.load, MakeLoadOptions(options.loader));
  ASSIGN_OR_RETURN(engine_options.workers, MakeWorkerOptions(options.threads));
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Start(engine_options));
  ASSIGN_OR_RETURN(const std::vector<BenchCase> cases,
                   MakeCases(options, engine->workers.pool->size()));
  RETURN_IF_ERROR(engine->weights->Finish());
  std::vector<Json> rows;
  for (const BenchCase& c : cases) {
    Note("bench  {}{} with {} threads ...", c.n_prompt > 0 ? "pp" : "tg", c.n_prompt + c.n_gen,
         c.n_threads);
    ASSIGN_OR_RETURN(Json row, RunCase(*engine, options, c, engine_options.model_path));
    rows.push_back(std::move(row));
  }
  return WriteRecords(rows, format,
                      {"model_type", "isa", "n_threads", "test", "avg_ts", "stddev_ts",
                       "memory_gb_per_s", "memory_roof_percent"});
}

}  // namespace

void AddBenchCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command =
      app.add_subcommand("bench", "Speed of prompt and decode, in tokens/s")->group(kGroupMeasure);
  command->footer(
      "Loading is not part of any figure (see bench-load). memory_roof_percent is decode speed in\n"
      "bytes of weights against the memory bandwidth measured right after it.\n"
      "example:\n  llm-run bench -m model.gguf -p 512 -n 128 -t 1,2 -r 5 -o md");
  AddModelOptions(*command, options->model);
  command->add_option("-p,--n-prompt", options->prompt, "prompt lengths, a list or range")
      ->capture_default_str();
  command->add_option("-n,--n-gen", options->generate, "tokens to decode, a list or range")
      ->capture_default_str();
  command->add_option("-t,--threads", options->thread_list, "thread counts, a list or range");
  command->add_option("-r,--repetitions", options->repetitions, "of each measurement")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("-o,--output", options->format, "md, csv, json, jsonl")
      ->capture_default_str();
  AddPlacementFlags(*command, options->threads);
  AddSessionFlags(*command, options->session);
  AddLoaderFlags(*command, options->loader);
  command->callback(
      [options, &context] { context.action = [options] { return Finish(Bench(*options)); }; });
}

}  // namespace llmrun
