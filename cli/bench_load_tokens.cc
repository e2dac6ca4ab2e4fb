#include "cli/bench_load_tokens.h"

#include "cli/engine.h"
#include "cli/interrupt.h"
#include "cli/prompt.h"
#include "model/generator.h"

namespace llmrun {
namespace {

constexpr int64_t kTokensToTime = 10;

Result<GenerateResult> TimedGenerate(Engine& engine, Session& session,
                                     const std::vector<TokenId>& prompt) {
  ASSIGN_OR_RETURN(Sampler sampler, Sampler::Create({.temperature = 0}));
  GenerateOptions options;
  options.max_tokens = kTokensToTime;
  options.ignore_eos = true;
  return Generate(session, *engine.tokenizer, sampler, prompt, options);
}

}  // namespace

Status MeasureTokens(const Combination& combination, const std::string& model_path,
                     int prompt_tokens, const TensorIndex& index, const Machine& machine,
                     const CacheControl& cache, TokenTimes* times) {
  RETURN_IF_ERROR(cache.prepare(combination.cold));
  if (MovesBytes(combination)) TouchMemory(index, combination.load.hugepages, machine);
  LoadOptions load = combination.load;
  load.pack = true;  // as whoever computes with them does
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                   Engine::Start({.model_path = model_path, .load = load}));
  SessionOptions options;
  options.n_ctx = prompt_tokens + kTokensToTime;
  options.interrupted = Interrupted;
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, engine->NewSession(options));
  const std::vector<TokenId> prompt = SomeTokens(prompt_tokens, session->n_vocab());
  const double before_seconds = engine->since_load.Seconds();
  ASSIGN_OR_RETURN(const GenerateResult streamed, TimedGenerate(*engine, *session, prompt));
  if (Interrupted()) return MakeError(ErrorCode::kUsage, "interrupted");
  ASSIGN_OR_RETURN(const LoadReport report, engine->weights->Finish());
  session->Truncate(0);
  ASSIGN_OR_RETURN(const GenerateResult again, TimedGenerate(*engine, *session, prompt));
  if (Interrupted()) return MakeError(ErrorCode::kUsage, "interrupted");
  const double first_seconds = before_seconds + streamed.first_token_seconds;
  times->first.push_back(first_seconds);
  times->tenth.push_back(first_seconds + streamed.generate_seconds);
  times->compute_alone.push_back(again.first_token_seconds);
  times->busy_share.push_back((report.cpu_seconds + report.stolen_seconds.value_or(0)) /
                              (report.seconds * machine.effective_cpus));
  return {};
}

}  // namespace llmrun
