// llm-run bench: prompt and decode speed, without loading. Field names are those of llama-bench, so
// that tools which read its output read this one; what the machine can do at most is measured
// beside every row.
#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/stopwatch.h"
#include "cli/bench_roofs.h"
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
  std::string depth = "0";
  int64_t repetitions = 5;
  std::string format = "md";
};

// One row of the table: prompt processing (generate 0) or decoding (prompt 0).
struct BenchCase {
  int64_t n_prompt = 0;
  int64_t n_gen = 0;
  int64_t n_threads = 1;
  int64_t n_depth = 0;  // tokens that are in the cache before

  // As llama-bench calls it.
  std::string Name() const {
    const std::string depth = n_depth > 0 ? fmt::format(" @ d{}", n_depth) : "";
    return fmt::format("{}{}{}", n_prompt > 0 ? "pp" : "tg", n_prompt + n_gen, depth);
  }
};

Result<double> RunOnce(Session& session, const BenchCase& c, const std::vector<TokenId>& ids) {
  session.Truncate(c.n_depth);
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

// For half a second, at least once: weights that were just loaded are slow to read at first, which
// a few short prompts would show as the speed of short prompts.
Status WarmUp(Session& session, const BenchCase& c, const std::vector<TokenId>& ids) {
  constexpr double kSeconds = 0.5;
  for (double spent_s = 0; spent_s < kSeconds;) {
    ASSIGN_OR_RETURN(const double seconds, RunOnce(session, c, ids));
    spent_s += seconds;
  }
  return {};
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
  PassCosts costs;      // of the prompt, or of each token that is decoded
  double roof = 0;      // a second: multiply-adds of prompts, bytes of weights of decode
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

// A prompt reads the weights once for many tokens: memory is not its roof. Decode computes little
// with each weight.
void AddRoof(const Measured& measured, bool prompt, double passes_per_s, Json* row) {
  const PassCosts& costs = measured.costs;
  const double macs = passes_per_s * static_cast<double>(costs.AllMacs());
  const double bytes = passes_per_s * static_cast<double>(costs.weight_bytes);
  const auto only = [](bool wanted, auto value) { return wanted ? Json(value) : Json(); };
  (*row)["weight_bytes_per_token"] = only(!prompt, costs.weight_bytes);
  (*row)["weight_macs_per_prompt"] = only(prompt, costs.AllMacs());
  (*row)["gb_per_s"] = only(!prompt, bytes * 1e-9);
  (*row)["read_gb_per_s"] = only(!prompt, measured.roof * 1e-9);
  (*row)["read_percent"] = only(!prompt, 100 * bytes / measured.roof);
  (*row)["gmac_per_s"] = only(prompt, macs * 1e-9);
  (*row)["peak_gmac_per_s"] = only(prompt, measured.roof * 1e-9);
  (*row)["peak_percent"] = only(prompt, 100 * macs / measured.roof);
}

Json CaseRow(Json row, const BenchCase& c, const SessionOptions& session,
             const Measured& measured) {
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
  row["type_v"] = NameOf(session.v_type.value_or(session.kv_type));
  row["n_prompt"] = c.n_prompt;
  row["n_gen"] = c.n_gen;
  row["n_depth"] = c.n_depth;
  row["test"] = c.Name();
  row["test_time"] = TimeNow();
  row["avg_ns"] = static_cast<uint64_t>(time.mean);
  row["stddev_ns"] = static_cast<uint64_t>(time.stddev);
  row["avg_ts"] = rate.mean;
  row["stddev_ts"] = rate.stddev;
  row["median_ts"] = rate.median;
  const double passes = c.n_prompt > 0 ? 1 : tokens;
  AddRoof(measured, c.n_prompt > 0, rate.median * passes / tokens, &row);
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
  if (session_options.n_ctx == 0) {
    session_options.n_ctx = std::max(c.n_depth + c.n_prompt + c.n_gen, int64_t{1});
  }
  session_options.interrupted = Interrupted;
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, engine.NewSession(session_options));
  const std::vector<TokenId> ids = SomeTokens(c.n_prompt + c.n_gen, engine.config.n_vocab);
  if (c.n_depth > 0) {
    RETURN_IF_ERROR(
        session->Forward(SomeTokens(c.n_depth, engine.config.n_vocab), LogitsOf::kLast));
  }
  RETURN_IF_ERROR(WarmUp(*session, c, ids));
  ASSIGN_OR_RETURN(const LlamaWeights llama, BindLlama(engine.config, *engine.weights));
  Measured measured;
  measured.costs = CostsOfPass(llama, std::max(c.n_prompt, int64_t{1}), 1);
  const auto roof = [&] {
    return c.n_prompt > 0 ? MeasureMacRoof(pool, KernelsFor(engine.isa), measured.costs)
                          : MeasureWeightsRead(pool, llama);
  };
  const double roof_before = roof();
  const StepProfile before = StepProfile::Of(pool);
  for (int64_t i = 0; i < options.repetitions; ++i) {
    ASSIGN_OR_RETURN(const double seconds, RunOnce(*session, c, ids));
    measured.seconds.push_back(seconds);
  }
  measured.profile = StepProfile::Of(pool).Since(before);
  measured.throttled_periods = engine.workers.keeper->throttled().periods;
  measured.roof = std::max(roof_before, roof());
  BenchCase used = c;
  used.n_threads = pool.team()->size();
  return CaseRow(ModelFields(engine, path), used, session_options, measured);
}

Result<std::vector<BenchCase>> MakeCases(const BenchOptions& options, int default_threads) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> prompts, ParseNumberList(options.prompt, 0));
  ASSIGN_OR_RETURN(const std::vector<int64_t> generates, ParseNumberList(options.generate, 0));
  std::vector<int64_t> threads = {default_threads};
  if (!options.thread_list.empty()) {
    ASSIGN_OR_RETURN(threads, ParseNumberList(options.thread_list, 1));
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> depths, ParseNumberList(options.depth, 0));
  std::vector<BenchCase> cases;
  for (const int64_t t : threads) {
    for (const int64_t d : depths) {
      for (const int64_t p : prompts) {
        if (p > 0) cases.push_back({.n_prompt = p, .n_threads = t, .n_depth = d});
      }
      for (const int64_t g : generates) {
        if (g > 0) cases.push_back({.n_gen = g, .n_threads = t, .n_depth = d});
      }
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
    Note("bench  {} with {} threads ...", c.Name(), c.n_threads);
    ASSIGN_OR_RETURN(Json row, RunCase(*engine, options, c, engine_options.model_path));
    rows.push_back(std::move(row));
  }
  return WriteRecords(rows, format,
                      {"model_type", "isa", "n_threads", "test", "avg_ts", "stddev_ts", "gb_per_s",
                       "read_percent", "gmac_per_s", "peak_percent"});
}

}  // namespace

void AddBenchCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command =
      app.add_subcommand("bench", "Speed of prompt and decode, in tokens/s")->group(kGroupMeasure);
  command->footer(
      "Loading is not part of any figure (see bench-load). Beside each row, with the same threads, "
      "is\n"
      "measured what the machine can do at most:\n"
      "  gb_per_s      decode: bytes of the weight matrices x tokens/s\n"
      "  read_percent  of reading the same weights and doing nothing else\n"
      "  gmac_per_s    prompts: multiply-adds of the weight matrices a second, attention left out\n"
      "  peak_percent  of multiply-adds on registers, int8, bf16 or f32 as the weights' types "
      "want\n"
      "example:\n  llm-run bench -m model.gguf -p 512 -n 128 -t 1,2 -r 5 -o md");
  AddModelOptions(*command, options->model);
  command->add_option("-p,--n-prompt", options->prompt, "prompt lengths, a list or range")
      ->capture_default_str();
  command->add_option("-n,--n-gen", options->generate, "tokens to decode, a list or range")
      ->capture_default_str();
  command
      ->add_option("-d,--n-depth", options->depth,
                   "tokens in the cache before, not timed, a list or range")
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
