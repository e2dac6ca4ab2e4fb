// Turns a conversation into the text that a model was trained to continue, by the Jinja template
// that comes with the model, by one of ours, or by one that the user gives.
//
// Owner: values. Threads: immutable after Create(); Render() is Thread-safe.
// Failure: Create() and Render() give the errors of jinja/template.h behind the template's name;
// Create() kUsage for variables and tools that are none.
#pragma once

#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/jinja/template.h"
#include "text/tokenizer.h"

namespace llmrun {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

struct BuiltinTemplate {
  std::string_view name;
  std::string_view source;
  std::string_view stop;  // text that ends an answer, where no token does; may be empty
};
std::span<const BuiltinTemplate> BuiltinTemplates();
const BuiltinTemplate* FindBuiltinTemplate(std::string_view name);  // nullptr when absent

struct ChatTemplateSpec {
  std::string name;  // for errors: "chat template 'NAME'"
  std::string source;
  std::string stop = {};
  std::string bos, eos;                   // as text; empty: the vocabulary has none
  std::string kwargs = {};                // a JSON object: further variables, as enable_thinking
  std::optional<std::string> tools = {};  // a JSON array of functions, as OpenAI's interface has it
  std::tm now = {};
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> Create(ChatTemplateSpec spec);

  // With `add_generation_prompt` it ends where the answer of the model begins.
  Result<std::string> Render(std::span<const ChatMessage> messages,
                             bool add_generation_prompt) const;

  const std::string& name() const { return spec_.name; }
  const std::string& stop() const { return spec_.stop; }

 private:
  ChatTemplate(ChatTemplateSpec spec, jinja::Template parsed, jinja::Value variables);

  ChatTemplateSpec spec_;
  jinja::Template template_;
  jinja::Value variables_;  // of kwargs, and tools
};

// What a template has rendered, as tokens: control tokens are recognized, and BOS stands in front
// once where the vocabulary asks for it, whether the template wrote it or not. EOS is not added.
std::vector<TokenId> EncodeRendered(const Tokenizer& tokenizer, std::string_view text);

}  // namespace llmrun
