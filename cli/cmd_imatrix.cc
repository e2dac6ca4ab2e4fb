// llm-run imatrix: measures what the columns of a model's matrices are multiplied with, which tells
// `llm-run quantize --imatrix` which errors matter.

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/stopwatch.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/load_watcher.h"
#include "cli/output.h"
#include "cli/session_flags.h"
#include "cli/text_chunks.h"
#include "cli/write_chunks.h"
#include "model/importance_collector.h"
#include "model/perplexity.h"

namespace llmrun {
namespace {

struct ImportanceFlags {
  TextRunFlags text;
  std::string output = "imatrix.gguf";
  bool force = false;
};

// Runs the chunks, says for each how well the text is predicted so far; how many were run when
// Ctrl-C came.
Result<size_t> RunChunks(Session& session, const TextChunks& text, std::optional<TokenId> bos,
                         ThreadPool& pool) {
  MeanOf losses;
  for (size_t i = 0; i < text.count(); ++i) {
    const auto visit = [&](std::span<const float> logits, std::span<const TokenId> next) -> Status {
      for (const double loss : NegativeLogLikelihoods(logits, next, pool)) losses.Add(loss);
      return {};
    };
    const Status status = RunChunk(session, text.at(i), bos, visit);
    if (Interrupted()) return i;
    RETURN_IF_ERROR(status);
    Note("chunk  {}/{}  perplexity {:.4f}", i + 1, text.count(), PerplexityOf(losses).mean);
  }
  return text.count();
}

Status Measure(const ImportanceFlags& flags) {
  RETURN_IF_ERROR(CheckOutputPath(flags.output, flags.force));
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, StartEngine(flags.text));
  const LoadWatcher watcher(*engine->weights, flags.text.loader.report);
  ASSIGN_OR_RETURN(const TextChunks text, ReadTextChunks(flags.text, *engine->tokenizer));
  ImportanceCollector collector(*engine->index);
  ASSIGN_OR_RETURN(SessionOptions session_options, MakeSessionOptions(flags.text.session));
  session_options.n_ctx = text.n_ctx;
  session_options.interrupted = Interrupted;
  session_options.importance = &collector;
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, engine->NewSession(session_options));
  const Stopwatch watch;
  ASSIGN_OR_RETURN(const size_t chunks,
                   RunChunks(*session, text, BosOf(*engine->tokenizer), *engine->workers.pool));
  if (collector.matrices() == 0) return MakeError(ErrorCode::kUsage, "interrupted");
  if (chunks < text.count()) {
    Note("note   interrupted after {} of {} chunks: what they gave is kept", chunks, text.count());
  }
  RETURN_IF_ERROR(
      collector.Write(flags.output, flags.text.file, static_cast<uint32_t>(chunks), text.n_ctx));
  Note("wrote  {}  {} tensors, {} chunks of {} tokens in {:.2f} s", flags.output,
       collector.matrices(), chunks, text.n_ctx, watch.Seconds());
  RETURN_IF_ERROR(watcher.Wait());
  return {};
}

int RunImportance(const ImportanceFlags& flags) {
  CatchInterrupts();
  const int code = Finish(Measure(flags));
  return Interrupted() ? kInterruptedExit : code;
}

}  // namespace

void AddImatrixCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<ImportanceFlags>();
  CLI::App* command =
      app.add_subcommand("imatrix", "Measure which weights matter, for quantize --imatrix")
          ->group(kGroupMake);
  command->footer(
      "The text is run in chunks of -c tokens (default: 512); it should be like what the "
      "model will be used for.\n"
      "example:\n"
      "  llm-run imatrix -m model-f16.gguf -f text.txt -o imatrix.gguf\n"
      "  llm-run quantize --imatrix imatrix.gguf model-f16.gguf out.gguf IQ4_XS");
  AddTextRunFlags(*command, flags->text);
  command->add_option("-o,--output", flags->output, "the file to write")
      ->type_name("FILE")
      ->capture_default_str();
  command->add_flag("--force", flags->force, "replace the file when it is there");
  command->callback(
      [flags, &context] { context.action = [flags] { return RunImportance(*flags); }; });
}

}  // namespace llmrun
