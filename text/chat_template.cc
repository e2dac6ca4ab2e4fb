#include "text/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "text/jinja/json.h"

namespace llmrun {
namespace {

using Json = nlohmann::ordered_json;
using Variables = std::vector<std::pair<jinja::Value, jinja::Value>>;

tl::unexpected<Error> OfTemplate(const std::string& name, Error error) {
  error.message = fmt::format("chat template '{}': {}", name, error.message);
  if (error.fix.empty()) error.fix = "--chat-template chatml, or another one";
  return tl::unexpected<Error>(std::move(error));
}

Result<jinja::Value> ParseVariables(const std::string& kwargs) {
  const Json json = Json::parse(kwargs.empty() ? "{}" : kwargs, nullptr, false);
  if (!json.is_object()) {
    return MakeFixableError(
        ErrorCode::kUsage, "--chat-template-kwargs '{\"enable_thinking\":false}'",
        "--chat-template-kwargs: expected a JSON object, found '{}'", kwargs.substr(0, 60));
  }
  return jinja::FromJson(json);
}

// What is wrong with a tool; empty: nothing.
std::string FaultOfTool(const Json& tool) {
  const auto is_text = [](const Json& object, const char* key) {
    return object.contains(key) && object[key].is_string();
  };
  if (!tool.is_object()) return "it is no object";
  if (!is_text(tool, "type") || tool["type"] != "function") return "its type is not \"function\"";
  if (!tool.contains("function") || !tool["function"].is_object()) return "it has no 'function'";
  const Json& function = tool["function"];
  if (!is_text(function, "name") || function["name"] == "") return "its function has no 'name'";
  if (function.contains("description") && !is_text(function, "description")) {
    return "the description of its function is no text";
  }
  if (function.contains("parameters") && !function["parameters"].is_object()) {
    return "the parameters of its function are no object (a JSON schema)";
  }
  return "";
}

Result<jinja::Value> ParseTools(const std::string& text) {
  constexpr char kFix[] =
      R"([{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}])";
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array() || json.empty()) {
    return MakeFixableError(ErrorCode::kUsage, kFix,
                            "--tools: expected a JSON array of functions, found '{}'",
                            text.substr(0, 60));
  }
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string fault = FaultOfTool(json[i]);
    if (fault.empty()) continue;
    return MakeFixableError(ErrorCode::kUsage, kFix, "--tools: tool {} of {}: {}", i + 1,
                            json.size(), fault);
  }
  return jinja::FromJson(json);
}

// The variables of --chat-template-kwargs, and the tools.
Result<jinja::Value> GivenVariables(const ChatTemplateSpec& spec) {
  ASSIGN_OR_RETURN(jinja::Value variables, ParseVariables(spec.kwargs));
  if (!spec.tools) return variables;
  if (variables.dict()->Find("tools") != nullptr) {
    return MakeError(ErrorCode::kUsage, "both --tools and tools in --chat-template-kwargs");
  }
  ASSIGN_OR_RETURN(jinja::Value tools, ParseTools(*spec.tools));
  Variables all = variables.dict()->items;
  all.emplace_back(jinja::Value::Of("tools"), std::move(tools));
  return jinja::MakeDict(std::move(all));
}

// Those of the user win.
void SetVariable(Variables* variables, const char* name, jinja::Value value) {
  const bool given = std::ranges::any_of(*variables, [&](const auto& variable) {
    return variable.first.string() != nullptr && *variable.first.string() == name;
  });
  if (!given) variables->emplace_back(jinja::Value::Of(name), std::move(value));
}

}  // namespace

const BuiltinTemplate* FindBuiltinTemplate(std::string_view name) {
  const auto all = BuiltinTemplates();
  const auto found = std::ranges::find(all, name, &BuiltinTemplate::name);
  return found == all.end() ? nullptr : &*found;
}

ChatTemplate::ChatTemplate(ChatTemplateSpec spec, jinja::Template parsed, jinja::Value variables)
    : spec_(std::move(spec)), template_(std::move(parsed)), variables_(std::move(variables)) {}

Result<ChatTemplate> ChatTemplate::Create(ChatTemplateSpec spec) {
  Result<jinja::Template> parsed = jinja::Template::Parse(spec.source);
  if (!parsed) return OfTemplate(spec.name, std::move(parsed).error());
  ASSIGN_OR_RETURN(jinja::Value variables, GivenVariables(spec));
  return ChatTemplate(std::move(spec), *std::move(parsed), std::move(variables));
}

Result<std::string> ChatTemplate::Render(std::span<const ChatMessage> messages,
                                         bool add_generation_prompt) const {
  std::vector<jinja::Value> list;
  for (const ChatMessage& message : messages) {
    ASSIGN_OR_RETURN(
        jinja::Value value,
        jinja::MakeDict({{jinja::Value::Of("role"), jinja::Value::Of(message.role)},
                         {jinja::Value::Of("content"), jinja::Value::Of(message.content)}}));
    list.push_back(std::move(value));
  }
  Variables variables = variables_.dict()->items;
  Result<jinja::Value> all_messages = jinja::MakeList(std::move(list));
  if (!all_messages) return OfTemplate(spec_.name, std::move(all_messages).error());
  SetVariable(&variables, "messages", *std::move(all_messages));
  SetVariable(&variables, "add_generation_prompt", jinja::Value::Of(add_generation_prompt));
  SetVariable(&variables, "bos_token", jinja::Value::Of(spec_.bos));
  SetVariable(&variables, "eos_token", jinja::Value::Of(spec_.eos));
  ASSIGN_OR_RETURN(const jinja::Value context, jinja::MakeDict(std::move(variables)));
  jinja::RenderOptions options;
  options.now = spec_.now;
  Result<std::string> text = template_.Render(context, options);
  if (!text) return OfTemplate(spec_.name, std::move(text).error());
  return text;
}

std::vector<TokenId> EncodeRendered(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<TokenId> ids = tokenizer.Encode(text, {.add_special = false, .parse_special = true});
  const std::optional<TokenId> bos = tokenizer.spec().bos;
  const bool wanted = bos && tokenizer.spec().add_bos.value_or(false);
  if (wanted && (ids.empty() || ids.front() != *bos)) ids.insert(ids.begin(), *bos);
  return ids;
}

}  // namespace llmrun
