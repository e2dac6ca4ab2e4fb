// A conversation with a model: its messages, and the session whose cache holds what of them was
// computed. Each turn is rendered and tokenized as a whole, and what the cache has already is not
// computed again, whatever changed: a new question, another answer, a file that was loaded.
// Threads: Single-thread. Must outlive it: all that it is given.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/generator.h"
#include "model/session.h"
#include "text/chat_template.h"
#include "text/sampler.h"
#include "text/tokenizer.h"

namespace llmrun {

struct ConversationParts {
  Session& session;
  const Tokenizer& tokenizer;
  const ChatTemplate& chat_template;
  Sampler& sampler;
  GenerateOptions generate;  // but for on_text
};

class Conversation {
 public:
  using ShowText = std::function<bool(std::string_view)>;  // false stops the answer

  explicit Conversation(ConversationParts parts) : parts_(std::move(parts)) {}

  // The question and its answer become messages. On failure, or when nothing was answered, neither
  // does. Failure: kUsage when it does not fit into the context, with what can be done; errors of
  // the template, and of Generate().
  Result<GenerateResult> Ask(const std::string& question, const ShowText& show);
  // Another answer in place of the last. kUsage when there is none.
  Result<GenerateResult> AskAgain(const ShowText& show);

  void Reset();                             // but for the system message
  void SetSystem(const std::string& text);  // and Reset(); empty: none
  // With the cache of the session (model/session_file.h).
  Status Save(const std::string& path);
  Status Load(const std::string& path);

  const std::vector<ChatMessage>& messages() const { return messages_; }
  int64_t tokens_in_use() const { return parts_.session.position(); }

 private:
  Result<GenerateResult> Answer(const ShowText& show);

  ConversationParts parts_;
  std::vector<ChatMessage> messages_;
};

}  // namespace llmrun
