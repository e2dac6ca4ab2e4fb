// llm-run eval: logits of given tokens as raw numbers, to compare with other programs.
#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>
#include <memory>

#include "base/stopwatch.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/engine.h"
#include "cli/interrupt.h"
#include "cli/load_watcher.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "cli/session_flags.h"
#include "cli/thread_options.h"

namespace llmrun {
namespace {

struct EvalOptions {
  ModelOptions model;
  LoaderFlags loader;
  ThreadFlags threads;
  SessionFlags session;
  std::string tokens;
  std::string tokens_file;
  std::string logits;
};

Result<std::vector<TokenId>> ParseTokens(const std::string& text) {
  std::vector<TokenId> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    if (*at == ' ' || *at == ',' || *at == '\n' || *at == '\t' || *at == '\r') {
      ++at;
      continue;
    }
    TokenId id = 0;
    const auto [rest, error] = std::from_chars(at, end, id);
    if (error != std::errc()) {
      return MakeError(ErrorCode::kUsage, "token {}: '{}' is not a token id", ids.size(),
                       Printable(std::string_view(at, end), 20));
    }
    ids.push_back(id);
    at = rest;
  }
  if (ids.empty()) {
    return MakeFixableError(ErrorCode::kUsage, "--tokens \"1 2 3\"", "no token ids were given");
  }
  return ids;
}

// Raw little-endian float32, [n_tokens][n_vocab]: the layout of memory on every x86-64.
Status WriteLogits(const std::string& path, std::span<const float> logits) {
  const std::string_view bytes(static_cast<const char*>(static_cast<const void*>(logits.data())),
                               logits.size_bytes());
  if (path == "-") return WriteStdout(bytes);
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return OsError(errno, path);
  return {};
}

Status Eval(const EvalOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, options.tokens_file.empty()
                                               ? Result<std::string>(options.tokens)
                                               : ReadWholeFile(options.tokens_file));
  ASSIGN_OR_RETURN(const std::vector<TokenId> ids, ParseTokens(text));
  EngineOptions engine_options;
  ASSIGN_OR_RETURN(engine_options.model_path, ModelPath(options.model));
  ASSIGN_OR_RETURN(engine_options.load, MakeLoadOptions(options.loader));
  ASSIGN_OR_RETURN(engine_options.workers, MakeWorkerOptions(options.threads));
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Start(engine_options));
  const LoadWatcher watcher(*engine->weights, options.loader.report);

  ASSIGN_OR_RETURN(SessionOptions session_options, MakeSessionOptions(options.session));
  if (session_options.n_ctx == 0) session_options.n_ctx = static_cast<int64_t>(ids.size());
  session_options.interrupted = Interrupted;
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, engine->NewSession(session_options));
  const Stopwatch watch;
  ASSIGN_OR_RETURN(const std::span<const float> logits, session->Forward(ids, LogitsOf::kAll));
  RETURN_IF_ERROR(WriteLogits(options.logits, logits));
  Note("eval   {} tokens x {} logits in {:.3f} s  isa {}  threads {}", ids.size(),
       engine->config.n_vocab, watch.Seconds(), NameOf(engine->isa),
       engine->workers.pool->team()->size());
  RETURN_IF_ERROR(watcher.Wait());
  return {};
}

}  // namespace

void AddEvalCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<EvalOptions>();
  options->session.kv_type = "f32";
  CLI::App* command =
      app.add_subcommand("eval", "Logits of given tokens, as raw float32")->group(kGroupMeasure);
  command->footer(
      "Writes little-endian float32, one row of n_vocab logits for each token; no token is added.\n"
      "example:\n  llm-run eval -m model.gguf --tokens \"1 22 333\" --logits logits.f32");
  AddModelOptions(*command, options->model);
  auto* tokens = command->add_option("--tokens", options->tokens, "token ids, \"1 2 3\"");
  command->add_option("--tokens-file", options->tokens_file, "the same from a file, - for stdin")
      ->excludes(tokens);
  command->add_option("--logits", options->logits, "where they go, - for stdout")->required();
  AddSessionFlags(*command, options->session);
  AddThreadFlags(*command, options->threads);
  AddLoaderFlags(*command, options->loader);
  AddReportFlag(*command, options->loader);
  command->callback(
      [options, &context] { context.action = [options] { return Finish(Eval(*options)); }; });
}

}  // namespace llmrun
