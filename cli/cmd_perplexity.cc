// llm-run perplexity: how well a model predicts a text, and how its predictions differ from those
// of another one.

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/stopwatch.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/load_watcher.h"
#include "cli/output.h"
#include "cli/session_flags.h"
#include "cli/text_chunks.h"
#include "model/log_prob_file.h"
#include "model/perplexity.h"

namespace llmrun {
namespace {

struct PerplexityFlags {
  TextRunFlags text;
  std::string base;  // of log likelihoods
  bool divergence = false;
  std::string format = "md";
};

struct PerplexityRun {
  LogProbHead text;  // whose tokens are whole chunks
  std::optional<LogProbReader> reader;
  std::optional<LogProbWriter> writer;
  MeanOf losses;
  Divergence divergence;
};

Result<PerplexityRun> Prepare(const PerplexityFlags& flags, const Engine& engine) {
  PerplexityRun run;
  if (flags.divergence) {
    if (flags.base.empty()) {
      return MakeFixableError(ErrorCode::kUsage, "--kl-divergence-base FILE",
                              "--kl-divergence: nothing to compare with was given");
    }
    ASSIGN_OR_RETURN(run.reader, LogProbReader::Open(flags.base));
    run.text = run.reader->head();
    if (run.text.n_vocab == engine.config.n_vocab) return run;
    return MakeError(ErrorCode::kUsage, "{}: of a vocabulary of {}, the model has {}", flags.base,
                     run.text.n_vocab, engine.config.n_vocab);
  }
  ASSIGN_OR_RETURN(TextChunks chunks, ReadTextChunks(flags.text, *engine.tokenizer));
  run.text = {.n_vocab = static_cast<uint32_t>(engine.config.n_vocab),
              .n_ctx = chunks.n_ctx,
              .tokens = std::move(chunks.tokens)};
  if (!flags.base.empty()) {
    ASSIGN_OR_RETURN(run.writer, LogProbWriter::Create(flags.base, run.text));
  }
  return run;
}

Status AddChunk(PerplexityRun& run, std::span<const float> logits, std::span<const TokenId> next,
                ThreadPool& pool) {
  if (run.reader) {
    ASSIGN_OR_RETURN(const std::vector<float> base, run.reader->Read(next.size()));
    run.divergence.Add(base, logits, next, pool);
    return {};
  }
  for (const double loss : NegativeLogLikelihoods(logits, next, pool)) run.losses.Add(loss);
  if (run.writer) return run.writer->Add(logits);
  return {};
}

// As llama-perplexity shows it: "[1]5.1234,[2]5.0123," so far.
Status ShowChunk(const PerplexityRun& run, size_t chunk) {
  if (!run.reader) {
    return WriteStdout(fmt::format("[{}]{:.4f},", chunk + 1, PerplexityOf(run.losses).mean));
  }
  const Divergence& d = run.divergence;
  const Estimate ratio = d.log_ratios().Get();
  const Estimate kld = d.divergences().Get();
  const std::string head = chunk == 0 ? "chunk         PPL     ln(PPL(Q)/PPL(base))"
                                        "            KL divergence      same top\n"
                                      : "";
  return WriteStdout(
      fmt::format("{}{:>5}  {:>10.4f}  {:>9.5f} +/- {:>9.5f}  {:>9.5f} +/- {:>9.5f}  {:>7.3f} %\n",
                  head, chunk + 1, PerplexityOf(d.losses()).mean, ratio.mean, ratio.error, kld.mean,
                  kld.error, 100 * d.same_top().Get().mean));
}

Json JsonOf(const Estimate& estimate) {
  return {{"value", estimate.mean}, {"error", estimate.error}};
}

Json ResultJson(const PerplexityRun& run) {
  const bool compared = run.reader.has_value();
  const MeanOf& losses = compared ? run.divergence.losses() : run.losses;
  const Estimate ppl = PerplexityOf(losses);
  Json json = {{"ppl", ppl.mean},
               {"ppl_error", ppl.error},
               {"n_ctx", run.text.n_ctx},
               {"chunks", run.text.tokens.size() / run.text.n_ctx},
               {"tokens_scored", ppl.count}};
  if (!compared) return json;
  const Divergence& d = run.divergence;
  json["ppl_base"] = JsonOf(PerplexityOf(d.base_losses()));
  json["ln_ppl_ratio"] = JsonOf(d.log_ratios().Get());
  json["kl_divergence"] = JsonOf(d.divergences().Get());
  json["kl_divergence_median"] = d.Quantile(0.5);
  json["kl_divergence_99"] = d.Quantile(0.99);
  json["kl_divergence_max"] = d.Quantile(1);
  json["probability_change"] = JsonOf(d.probability_changes().Get());
  json["probability_change_rms"] = d.probability_changes().RootMeanSquare();
  json["same_top"] = JsonOf(d.same_top().Get());
  return json;
}

Status ShowResult(const PerplexityRun& run) {
  if (!run.reader) {
    const Estimate ppl = PerplexityOf(run.losses);
    return WriteStdout(
        fmt::format("\nFinal estimate: PPL = {:.4f} +/- {:.5f}\n", ppl.mean, ppl.error));
  }
  const Divergence& d = run.divergence;
  const auto line = [](const char* name, const Estimate& e, double factor = 1) {
    return fmt::format("{:<22}: {:>11.6f} +/- {:>10.6f}\n", name, factor * e.mean,
                       factor * e.error);
  };
  const auto value = [](const char* name, double v) {
    return fmt::format("{:<22}: {:>11.6f}\n", name, v);
  };
  return WriteStdout("\n" + line("Mean PPL(Q)", PerplexityOf(d.losses())) +
                     line("Mean PPL(base)", PerplexityOf(d.base_losses())) +
                     line("Mean ln(PPL(Q)/base)", d.log_ratios().Get()) +
                     line("Mean KLD", d.divergences().Get()) + value("Maximum KLD", d.Quantile(1)) +
                     value("99.0% KLD", d.Quantile(0.99)) + value("Median KLD", d.Quantile(0.5)) +
                     line("Mean change of p (%)", d.probability_changes().Get(), 100) +
                     value("RMS change of p (%)", 100 * d.probability_changes().RootMeanSquare()) +
                     line("Same top p (%)", d.same_top().Get(), 100));
}

Status Perplexity(const PerplexityFlags& flags) {
  if (flags.format != "md" && flags.format != "json") {
    return MakeError(ErrorCode::kUsage, "-o {}: expected md or json", flags.format);
  }
  const bool as_json = flags.format == "json";
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, StartEngine(flags.text));
  const LoadWatcher watcher(*engine->weights, flags.text.loader.report);
  ASSIGN_OR_RETURN(PerplexityRun run, Prepare(flags, *engine));
  ASSIGN_OR_RETURN(SessionOptions session_options, MakeSessionOptions(flags.text.session));
  session_options.n_ctx = run.text.n_ctx;
  session_options.interrupted = Interrupted;
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, engine->NewSession(session_options));
  const std::optional<TokenId> bos = BosOf(*engine->tokenizer);
  ThreadPool& pool = *engine->workers.pool;
  const Stopwatch watch;
  const std::span<const TokenId> tokens = run.text.tokens;
  const size_t chunks = tokens.size() / run.text.n_ctx;
  for (size_t i = 0; i < chunks; ++i) {
    const auto visit = [&](std::span<const float> logits, std::span<const TokenId> next) {
      return AddChunk(run, logits, next, pool);
    };
    RETURN_IF_ERROR(
        RunChunk(*session, tokens.subspan(i * run.text.n_ctx, run.text.n_ctx), bos, visit));
    if (!as_json) RETURN_IF_ERROR(ShowChunk(run, i));
  }
  if (run.writer) RETURN_IF_ERROR(run.writer->Commit());
  RETURN_IF_ERROR(as_json ? WriteJson(ResultJson(run)) : ShowResult(run));
  Note("ppl    {} chunks of {} tokens in {:.2f} s  isa {}  threads {}", chunks, run.text.n_ctx,
       watch.Seconds(), NameOf(engine->isa), pool.team()->size());
  RETURN_IF_ERROR(watcher.Wait());
  return {};
}

int RunPerplexity(const PerplexityFlags& flags) {
  CatchInterrupts();
  const Status status = Perplexity(flags);
  if (Interrupted() && !status) return kInterruptedExit;
  return Finish(status);
}

}  // namespace

void AddPerplexityCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<PerplexityFlags>();
  CLI::App* command =
      app.add_subcommand("perplexity", "How well a model predicts a text")->group(kGroupMeasure);
  command->footer(
      "The text is cut into chunks of -c tokens (default: 512); of each the second half is "
      "scored.\n"
      "example:\n"
      "  llm-run perplexity -m f16.gguf -f text.txt --kl-divergence-base f16.lp\n"
      "  llm-run perplexity -m q4.gguf --kl-divergence-base f16.lp --kl-divergence");
  AddTextRunFlags(*command, flags->text);
  command
      ->add_option("--kl-divergence-base,--save-all-logits", flags->base,
                   "write the likelihoods of all tokens there;\n"
                   "with --kl-divergence: compare with those")
      ->type_name("FILE");
  command->add_flag("--kl-divergence", flags->divergence,
                    "how predictions differ from those of the base, on its text");
  command->add_option("-o,--output", flags->format, "md (default) or json")->type_name("FORMAT");
  command->callback(
      [flags, &context] { context.action = [flags] { return RunPerplexity(*flags); }; });
}

}  // namespace llmrun
