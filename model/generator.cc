#include "model/generator.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "text/stop_matcher.h"

namespace llmrun {
namespace {

Status CheckPrompt(const Session& session, const Tokenizer& tokenizer,
                   std::span<const TokenId> prompt) {
  if (tokenizer.VocabSize() != static_cast<size_t>(session.n_vocab())) {
    return MakeError(ErrorCode::kBadData, "the tokenizer has {} tokens, the model {}",
                     tokenizer.VocabSize(), session.n_vocab());
  }
  if (prompt.empty()) return MakeError(ErrorCode::kUsage, "the prompt has no tokens");
  const uint64_t used = static_cast<uint64_t>(session.position());
  const uint64_t n_ctx = static_cast<uint64_t>(session.n_ctx());
  if (prompt.size() <= n_ctx - used) return {};
  const std::string in_use = used == 0 ? "" : fmt::format(", {} of them in use", used);
  return MakeFixableError(ErrorCode::kUsage, fmt::format("-c {}", used + prompt.size()),
                          "the prompt has {} tokens, the context {}{}", prompt.size(), n_ctx,
                          in_use);
}

// The decode loop, from the logits of the last prompt token on.
class Decoder {
 public:
  Decoder(Session& session, const Tokenizer& tokenizer, Sampler& sampler,
          const GenerateOptions& options, const Stopwatch& since_call)
      : session_(session),
        tokenizer_(tokenizer),
        sampler_(sampler),
        options_(options),
        since_call_(since_call),
        stops_(options.stop) {
    if (options.drafter != nullptr) said_.assign(session.tokens().begin(), session.tokens().end());
  }

  Status Run(std::span<const float> logits, GenerateResult* result) {
    while (result->generated_tokens != options_.max_tokens) {
      ASSIGN_OR_RETURN(const TokenId id, sampler_.Sample(logits));
      if (result->first_token_seconds == 0) result->first_token_seconds = since_call_.Seconds();
      sampler_.Accept(id);
      if (!options_.ignore_eos && tokenizer_.IsEndOfGeneration(id)) {
        if (options_.show_special) (void)Show(TextOf(id));
        return Stop(StopReason::kEndOfText, result);
      }
      ++result->generated_tokens;
      const bool go_on = Show(TextOf(id));
      if (stopped_) return Stop(StopReason::kStopString, result);
      if (!go_on) return Stop(StopReason::kInterrupted, result);
      if (sampler_.AtEnd()) return Stop(StopReason::kEndOfText, result);
      if (result->generated_tokens == options_.max_tokens) break;
      if (ConfirmedPosition() == session_.n_ctx()) return Stop(StopReason::kContextFull, result);
      Result<std::span<const float>> next = Behind(id, result);
      if (!next && session_.interrupted()) return Stop(StopReason::kInterrupted, result);
      RETURN_IF_ERROR(next);
      logits = *next;
    }
    return Stop(StopReason::kLimit, result);
  }

 private:
  // The logits behind a token: of the batch in which it was guessed, or computed now, together with
  // guesses of what comes next.
  Result<std::span<const float>> Behind(TokenId id, GenerateResult* result) {
    const auto n_vocab = static_cast<size_t>(session_.n_vocab());
    if (options_.drafter != nullptr) said_.push_back(id);
    if (right_ < drafts_.size() && drafts_[right_] == id) {
      ++result->right_drafts;
      return logits_.subspan(++right_ * n_vocab, n_vocab);
    }
    DropDrafts();
    std::vector<TokenId> batch = {id};
    RETURN_IF_ERROR(AppendDrafts(*result, &batch));
    const LogitsOf which = batch.size() > 1 ? LogitsOf::kAll : LogitsOf::kLast;
    ASSIGN_OR_RETURN(logits_, session_.Forward(batch, which));
    drafts_.assign(batch.begin() + 1, batch.end());
    result->drafts += static_cast<int64_t>(drafts_.size());
    return logits_.first(n_vocab);
  }
  Status AppendDrafts(const GenerateResult& result, std::vector<TokenId>* batch) const {
    if (options_.drafter == nullptr) return {};
    int64_t most = std::min(options_.max_drafts, session_.n_ctx() - session_.position() - 1);
    if (options_.max_tokens >= 0) {
      most = std::min(most, options_.max_tokens - result.generated_tokens - 1);
    }
    if (most <= 0) return {};
    ASSIGN_OR_RETURN(const std::vector<TokenId> drafts,
                     options_.drafter->Draft(said_, static_cast<size_t>(most)));
    batch->insert(batch->end(), drafts.begin(), drafts.end());
    return {};
  }
  // Without the guesses that are not known to be right.
  int64_t ConfirmedPosition() const {
    return session_.position() - static_cast<int64_t>(drafts_.size() - right_);
  }
  void DropDrafts() {
    session_.Truncate(ConfirmedPosition());
    drafts_.clear();
    right_ = 0;
  }
  std::string TextOf(TokenId id) const { return tokenizer_.Decode(id, options_.show_special); }
  // Shows what can be: no beginning of a stop string, no part of a character.
  bool Show(std::string_view bytes) {
    StopMatcher::Output out = stops_.Push(bytes);
    stopped_ = out.stopped;
    return Pass(stream_.Push(out.text));
  }
  bool Pass(const std::string& text) {
    return text.empty() || !options_.on_text || options_.on_text(text);
  }
  Status Stop(StopReason reason, GenerateResult* result) {
    result->stop = reason;
    DropDrafts();
    if (result->generated_tokens > 0) {
      result->generate_seconds = since_call_.Seconds() - result->first_token_seconds;
    }
    const std::string rest = stream_.Push(stops_.Flush());
    Pass(rest + stream_.Flush());
    return {};
  }

  Session& session_;
  const Tokenizer& tokenizer_;
  Sampler& sampler_;
  const GenerateOptions& options_;
  const Stopwatch& since_call_;
  StopMatcher stops_;
  Utf8Stream stream_;
  bool stopped_ = false;       // a stop string came
  std::vector<TokenId> said_;  // for the drafter: all tokens but the guesses
  // Of the last batch, whose first token was no guess: the others, how many of them were right, and
  // the logits behind each of its tokens.
  std::vector<TokenId> drafts_;
  size_t right_ = 0;
  std::span<const float> logits_;
};

}  // namespace

Result<GenerateResult> Generate(Session& session, const Tokenizer& tokenizer, Sampler& sampler,
                                std::span<const TokenId> prompt, const GenerateOptions& options) {
  RETURN_IF_ERROR(CheckPrompt(session, tokenizer, prompt));
  const Stopwatch since_call;
  GenerateResult result;
  Result<std::span<const float>> logits = session.Forward(prompt, LogitsOf::kLast);
  result.prompt_seconds = since_call.Seconds();
  if (!logits && session.interrupted()) {
    result.stop = StopReason::kInterrupted;
    return result;
  }
  RETURN_IF_ERROR(logits);
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  for (const TokenId id : prompt) sampler.AcceptPrompt(id);
  Decoder decoder(session, tokenizer, sampler, options, since_call);
  RETURN_IF_ERROR(decoder.Run(*logits, &result));
  return result;
}

Result<GenerateResult> GenerateReusing(Session& session, const Tokenizer& tokenizer,
                                       Sampler& sampler, std::span<const TokenId> prompt,
                                       const GenerateOptions& options) {
  const auto kept = static_cast<size_t>(session.KeepPrefix(prompt));
  sampler.Restart();
  for (const TokenId id : prompt.first(kept)) sampler.AcceptPrompt(id);
  return Generate(session, tokenizer, sampler, prompt.subspan(kept), options);
}

}  // namespace llmrun
