#include "cli/chat_template_flags.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <optional>
#include <vector>

#include "cli/common_options.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "model/chat_template_source.h"

namespace llmrun {
namespace {

constexpr char kGroupChat[] = "Chat template";

std::string NamesOfBuiltins() {
  std::vector<std::string_view> names;
  for (const BuiltinTemplate& each : BuiltinTemplates()) names.push_back(each.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void UseBuiltin(const BuiltinTemplate& builtin, ChatTemplateSpec* spec) {
  spec->name = builtin.name;
  spec->source = builtin.source;
  spec->stop = builtin.stop;
}

// What --chat-template names: the text of a template, a name of ours, or one of the model's.
Status UseNamed(const std::string& wanted, const Metadata& metadata, ChatTemplateSpec* spec) {
  if (wanted.find('{') != wanted.npos) {
    spec->name = "--chat-template";
    spec->source = wanted;
    return {};
  }
  if (const BuiltinTemplate* builtin = FindBuiltinTemplate(wanted)) {
    UseBuiltin(*builtin, spec);
    return {};
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> named, ChatTemplateSource(metadata, wanted));
  if (!named) {
    return MakeFixableError(ErrorCode::kUsage, NamesOfBuiltins(),
                            "there is no chat template '{}', of llm-run or of the model", wanted);
  }
  spec->name = wanted;
  spec->source = *named;
  return {};
}

void UseFallback(const Tokenizer& tokenizer, bool quiet, ChatTemplateSpec* spec) {
  const auto ids = tokenizer.Encode("<|im_start|>", {.parse_special = true});
  const bool knows_markers = ids.size() == 1;
  UseBuiltin(*FindBuiltinTemplate(knows_markers ? "chatml" : "plain"), spec);
  if (quiet) return;
  const Fallback fallback = {"the chat template of the model", fmt::format("'{}'", spec->name),
                             "its file has none", "--chat-template NAME: " + NamesOfBuiltins()};
  Note("note   {}", fallback.OneLine());
}

Status UseTools(const ChatTemplateFlags& flags, ChatTemplateSpec* spec) {
  ASSIGN_OR_RETURN(spec->tools, ReadWholeFile(flags.tools_file));
  if (flags.quiet || spec->source.find("tools") != std::string::npos) return {};
  const Fallback fallback = {"the tools of " + flags.tools_file, "a prompt without them",
                             fmt::format("the chat template '{}' has no word of tools", spec->name),
                             "--chat-template or --chat-template-file with one that has"};
  Note("note   {}", fallback.OneLine());
  return {};
}

std::string TextOfToken(const Tokenizer& tokenizer, std::optional<TokenId> id) {
  return id ? tokenizer.Decode(*id, /*show_special=*/true) : "";
}

}  // namespace

void AddChatTemplateFlags(CLI::App& command, ChatTemplateFlags& flags) {
  FromEnvironment(command
                      .add_option("--chat-template", flags.name_or_text,
                                  "how messages are written: " + NamesOfBuiltins() +
                                      ", a name of the model's, or a Jinja template")
                      ->type_name("NAME|TEXT")
                      ->group(kGroupChat),
                  {"LLMRUN_CHAT_TEMPLATE", "LLAMA_ARG_CHAT_TEMPLATE"});
  FromEnvironment(
      command.add_option("--chat-template-file", flags.file, "a file with a Jinja template")
          ->type_name("FILE")
          ->group(kGroupChat),
      {"LLMRUN_CHAT_TEMPLATE_FILE", "LLAMA_ARG_CHAT_TEMPLATE_FILE"});
  FromEnvironment(command
                      .add_option("--chat-template-kwargs", flags.kwargs,
                                  "variables of the template, as {\"enable_thinking\":false}")
                      ->type_name("JSON")
                      ->group(kGroupChat),
                  {"LLMRUN_CHAT_TEMPLATE_KWARGS", "LLAMA_ARG_CHAT_TEMPLATE_KWARGS"});
  command
      .add_option("--tools", flags.tools_file,
                  "a file with the tools that the model may call: a JSON array as OpenAI's")
      ->type_name("FILE")
      ->group(kGroupChat);
}

Result<ChatTemplate> MakeChatTemplate(const ChatTemplateFlags& flags, const Metadata& metadata,
                                      const Tokenizer& tokenizer) {
  ChatTemplateSpec spec;
  spec.kwargs = flags.kwargs;
  spec.bos = TextOfToken(tokenizer, tokenizer.spec().bos);
  spec.eos = TextOfToken(tokenizer, tokenizer.spec().eos);
  const std::time_t now = std::time(nullptr);
  ::localtime_r(&now, &spec.now);
  if (!flags.file.empty() && !flags.name_or_text.empty()) {
    return MakeError(ErrorCode::kUsage, "both --chat-template and --chat-template-file were given");
  }
  if (!flags.file.empty()) {
    spec.name = flags.file;
    ASSIGN_OR_RETURN(spec.source, ReadWholeFile(flags.file));
  } else if (!flags.name_or_text.empty()) {
    RETURN_IF_ERROR(UseNamed(flags.name_or_text, metadata, &spec));
  } else {
    ASSIGN_OR_RETURN(const std::optional<std::string> own, ChatTemplateSource(metadata));
    spec.name = "of the model";
    if (own) {
      spec.source = *own;
    } else {
      UseFallback(tokenizer, flags.quiet, &spec);
    }
  }
  if (!flags.tools_file.empty()) RETURN_IF_ERROR(UseTools(flags, &spec));
  return ChatTemplate::Create(std::move(spec));
}

}  // namespace llmrun
