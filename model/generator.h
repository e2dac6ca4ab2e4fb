// Prompt in, tokens out: the loop that cli and serve share.
// Threads: Single-thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/drafter.h"
#include "model/session.h"
#include "text/sampler.h"
#include "text/tokenizer.h"

namespace llmrun {

enum class StopReason : uint8_t { kLimit, kEndOfText, kStopString, kContextFull, kInterrupted };

struct GenerateOptions {
  int64_t max_tokens = -1;  // < 0: until the end of text or of the context; 0: prompt only
  bool ignore_eos = false;
  bool show_special = false;           // control tokens too
  std::vector<std::string> stop = {};  // texts that end the answer; they are not shown
  // Guesses that are checked several at a time; borrowed, null: none. What comes out is the same.
  Drafter* drafter = nullptr;
  int64_t max_drafts = 3;  // with one more token they are a tile of the kernels
  // Shows text as it comes, whole UTF-8 characters only. Returns false to stop. May be empty.
  std::function<bool(std::string_view text)> on_text = {};
};

struct GenerateResult {
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;    // without the token that ended the text, with a stop string's
  double prompt_seconds = 0;       // until the logits of the last prompt token
  double generate_seconds = 0;     // all tokens after the first
  double first_token_seconds = 0;  // from the call to the first token; 0: there was none
  int64_t drafts = 0;              // tokens that were guessed
  int64_t right_drafts = 0;        // of these
  StopReason stop = StopReason::kLimit;
};

// Appends the prompt to the session and generates. The session then holds the prompt and all tokens
// generated but the last, whose logits nobody asked for.
// Failure: kUsage for an empty prompt or one longer than the room left in the context (both
// numbers and the fix), kBadData when tokenizer and model differ in their number of tokens, errors
// of Session::Forward, Sampler::Sample and Drafter::Draft. Being interrupted is no failure.
Result<GenerateResult> Generate(Session& session, const Tokenizer& tokenizer, Sampler& sampler,
                                std::span<const TokenId> prompt, const GenerateOptions& options);

// The same for a prompt of which the session may hold the beginning already: what differs is
// forgotten, by the sampler too, and only the rest is computed (result.prompt_tokens).
Result<GenerateResult> GenerateReusing(Session& session, const Tokenizer& tokenizer,
                                       Sampler& sampler, std::span<const TokenId> prompt,
                                       const GenerateOptions& options);

}  // namespace llmrun
