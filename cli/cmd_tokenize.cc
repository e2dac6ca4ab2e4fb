// llm-run tokenize: the ids of a text's exact bytes. A vocabulary-only GGUF is enough.

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <utility>

#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/model_source.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "model/tokenizer_spec.h"

namespace llmrun {
namespace {

struct TokenizeOptions {
  ModelOptions model;
  PromptOptions prompt;
  bool special = false;
  bool json = false;
};

Status Tokenize(const TokenizeOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, ReadPrompt(options.prompt));
  ASSIGN_OR_RETURN(const std::string path, ModelPath(options.model));
  ASSIGN_OR_RETURN(const ModelSource source, OpenRunnableSource(path));
  ASSIGN_OR_RETURN(TokenizerSpec spec, TokenizerSpecFromMetadata(source.index.metadata()));
  ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Create(std::move(spec)));
  const std::vector<TokenId> ids =
      tokenizer->Encode(text, {.add_special = options.special, .parse_special = options.special});
  if (options.json) {
    Json pieces = Json::array();
    for (const TokenId id : ids) pieces.push_back(tokenizer->Decode(id, true));
    return WriteJson({{"ids", ids}, {"pieces", pieces}});
  }
  return WriteStdout(fmt::format("{}\n", fmt::join(ids, " ")));
}

}  // namespace

void AddTokenizeCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = app.add_subcommand("tokenize", "Token ids of a text")->group(kGroupModel);
  AddModelOptions(*command, options->model);
  CLI::Option* prompt =
      command->add_option("-p,--prompt", options->prompt.text, "the text, byte by byte");
  prompt->type_name("TEXT");
  command
      ->add_option("-f,--file", options->prompt.file,
                   "a file with the text, '-' for standard input")
      ->type_name("FILE");
  command->add_flag("--special", options->special,
                    "add BOS/EOS as the model wants them, and read control tokens in the text");
  command->add_flag("--json", options->json, "ids and pieces as JSON");
  command->footer("example:\n  llm-run tokenize -m model.gguf -p \"Hello world\"");
  command->callback([options, prompt, &context] {
    options->prompt.has_text = prompt->count() > 0;
    context.action = [options] { return Finish(Tokenize(*options)); };
  });
}

}  // namespace llmrun
