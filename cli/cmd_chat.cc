// llm-run chat: a conversation on a terminal, or line by line from a script.
#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cli/cache_file.h"
#include "cli/chat_template_flags.h"
#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/drafting.h"
#include "cli/engine.h"
#include "cli/generation_flags.h"
#include "cli/interrupt.h"
#include "cli/line_reader.h"
#include "cli/load_watcher.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"

namespace llmrun {
namespace {

struct ChatOptions {
  GenerationFlags generation;
  ChatTemplateFlags chat_template;
  std::string system;
};

constexpr char kChatHelp[] =
    "/system TEXT  begin again with this system message (without TEXT: with none)\n"
    "/reset        begin again\n"
    "/regen        another answer to the last question\n"
    "/save FILE    keep the conversation and what was computed of it\n"
    "/load FILE    go on with one that was kept\n"
    "/tokens       how much of the context is in use\n"
    "/exit         end, as Ctrl-D\n"
    "A line that ends with \\ goes on in the next one; \"\"\" begins and ends several lines.\n"
    "Ctrl-C stops an answer.";

// One message of the user: a line, or several.
std::optional<std::string> ReadMessage(LineReader& reader) {
  constexpr std::string_view kQuotes = "\"\"\"";
  std::optional<std::string> line = reader.Read("> ");
  if (!line) return std::nullopt;
  std::string text;
  if (line->starts_with(kQuotes)) {
    line->erase(0, kQuotes.size());
    while (line && !line->ends_with(kQuotes)) {
      if (!text.empty() || !line->empty()) text += *line + "\n";
      line = reader.Read(". ");
    }
    if (line) text += line->substr(0, line->size() - kQuotes.size());
  } else {
    while (line && line->ends_with('\\')) {
      text += line->substr(0, line->size() - 1) + "\n";
      line = reader.Read(". ");
    }
    if (line) text += *line;
  }
  if (!line && Interrupted()) return std::nullopt;  // what was typed is dropped
  reader.Remember(text);
  return text;
}

class Chat {
 public:
  Chat(Conversation conversation, Session& session, TeamKeeper& keeper, LineReader& reader)
      : conversation_(std::move(conversation)),
        session_(session),
        keeper_(keeper),
        reader_(reader) {}

  Conversation& conversation() { return conversation_; }
  // Of all answers so far.
  int64_t drafts() const { return drafts_; }
  int64_t right_drafts() const { return right_drafts_; }

  // Until the end of the input. A person may go on after an error, a script may not.
  Result<int> Run() {
    // A Ctrl-C that finds neither an answer to stop nor a line to drop does nothing.
    const auto forget = [this] {
      if (reader_.interactive()) ForgetInterrupts();
    };
    while (!ended_) {
      forget();
      const std::optional<std::string> text = ReadMessage(reader_);
      if (ToldToEnd() || (Interrupted() && !reader_.interactive())) return kInterruptedExit;
      if (!text && Interrupted()) {
        NoteLine("\n");  // a fresh line; /exit or Ctrl-D ends
        continue;
      }
      if (!text) break;
      forget();
      if (text->empty()) continue;
      const Status status = text->starts_with('/') ? Command(*text) : Ask(*text);
      if (status) continue;
      if (!reader_.interactive()) return tl::unexpected<Error>(status.error());
      (void)ReportError(status.error());
    }
    if (reader_.interactive()) NoteLine("");
    return ToldToEnd() ? kInterruptedExit : 0;
  }

 private:
  Status Ask(const std::string& question) { return Show(conversation_.Ask(question, show_)); }

  // Behind the end of an answer: its line, and why it ended where it did not by itself.
  Status Show(const Result<GenerateResult>& result) {
    keeper_.Rest();
    RETURN_IF_ERROR(output_);
    if (!result && !Interrupted()) return tl::unexpected<Error>(result.error());
    if (result) {
      drafts_ += result->drafts;
      right_drafts_ += result->right_drafts;
    }
    RETURN_IF_ERROR(WriteStdout("\n"));
    if (Interrupted()) {
      ended_ = ToldToEnd() || !reader_.interactive();
      return {};
    }
    if (result->stop == StopReason::kContextFull) {
      Note("note   stopped: the context of {} tokens is full; fix: /reset, or begin with -c {}",
           session_.n_ctx(), 2 * session_.n_ctx());
    }
    return {};
  }

  Status Command(const std::string& text) {
    const size_t space = text.find(' ');
    const std::string name = text.substr(0, space);
    const std::string argument = space == text.npos ? "" : text.substr(space + 1);
    if (name == "/exit" || name == "/quit" || name == "/bye") {
      ended_ = true;
    } else if (name == "/help" || name == "/?") {
      NoteLine(kChatHelp);
    } else if (name == "/reset" || name == "/clear") {
      conversation_.Reset();
    } else if (name == "/system") {
      conversation_.SetSystem(argument);
    } else if (name == "/regen") {
      return Show(conversation_.AskAgain(show_));
    } else if (name == "/tokens") {
      Note("{} of {} tokens of the context are in use", session_.position(), session_.n_ctx());
    } else if ((name == "/save" || name == "/load") && argument.empty()) {
      return MakeFixableError(ErrorCode::kUsage, name + " FILE", "{} wants a file", name);
    } else if (name == "/save") {
      return conversation_.Save(argument);
    } else if (name == "/load") {
      return Load(argument);
    } else {
      return MakeFixableError(ErrorCode::kUsage, "/help", "there is no command '{}'", name);
    }
    return {};
  }

  // And shows what was said so far.
  Status Load(const std::string& path) {
    RETURN_IF_ERROR(conversation_.Load(path));
    for (const ChatMessage& message : conversation_.messages()) {
      const bool ours = message.role == "assistant";
      if (ours) RETURN_IF_ERROR(WriteStdout(message.content + "\n"));
      if (!ours) Note("> {}", message.content);
    }
    return {};
  }

  Conversation conversation_;
  Session& session_;
  TeamKeeper& keeper_;
  LineReader& reader_;
  bool ended_ = false;
  int64_t drafts_ = 0;
  int64_t right_drafts_ = 0;
  Status output_;
  const Conversation::ShowText show_ = [this](std::string_view text) {
    output_ = WriteStdout(text);
    return output_.has_value() && !Interrupted();
  };
};

// People and scripts begin to talk when the weights are there.
Status WaitForLoad(const GenerationFlags& flags, const LoadWatcher& watcher, ProgressBar& bar) {
  while (!watcher.WaitFor(0.1) && !Interrupted()) {
  }
  bar.Clear();
  if (Interrupted()) return MakeError(ErrorCode::kUsage, "interrupted while loading");
  const Result<LoadReport>& report = watcher.Wait();
  RETURN_IF_ERROR(report);
  if (!flags.quiet) NoteLine(ReportText(*report));
  return {};
}

Result<int> RunChat(ChatOptions& options) {
  GenerationFlags& flags = options.generation;
  CatchInterrupts();
  if (flags.model.given() == "-") {
    return MakeFixableError(ErrorCode::kUsage, "llm-run chat -m model.gguf",
                            "standard input cannot be both the model and the conversation");
  }
  ASSIGN_OR_RETURN(SamplerPlan sampler_plan, PlanSampler(flags.sampler));
  RETURN_IF_ERROR(CheckDraftFlags(flags.draft));
  ASSIGN_OR_RETURN(SessionOptions session_options, MakeSessionOptions(flags.session));
  ProgressBar bar("load");
  ASSIGN_OR_RETURN(const EngineOptions engine_options, MakeEngineOptions(flags, bar));
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Start(engine_options));
  const LoadWatcher watcher(*engine->weights, flags.loader.report);
  session_options.interrupted = Interrupted;
  ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, engine->NewSession(session_options));
  ASSIGN_OR_RETURN(const Drafting drafting,
                   StartDrafting(flags, engine_options, *engine, *session));
  RETURN_IF_ERROR(WaitForLoad(flags, watcher, bar));
  RETURN_IF_ERROR(ShowDraftLoad(drafting, flags.quiet));
  ASSIGN_OR_RETURN(Sampler sampler, MakeSampler(std::move(sampler_plan), *engine->tokenizer));
  ASSIGN_OR_RETURN(
      const ChatTemplate chat_template,
      MakeChatTemplate(options.chat_template, engine->index->metadata(), *engine->tokenizer));
  NoteSeed(flags);
  LineReader reader(StateFile("chat_history"));
  Chat chat(Conversation({.session = *session,
                          .tokenizer = *engine->tokenizer,
                          .chat_template = chat_template,
                          .sampler = sampler,
                          .generate = MakeGenerateOptions(flags, drafting.drafter.get())}),
            *session, *engine->workers.keeper, reader);
  chat.conversation().SetSystem(options.system);
  if (reader.interactive() && !flags.quiet) NoteLine("/help lists what can be said beside text");
  Result<int> exit_code = chat.Run();
  if (!flags.quiet) NoteDrafts(chat.right_drafts(), chat.drafts());
  return exit_code;
}

}  // namespace

void AddChatCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App* command = app.add_subcommand("chat", "Talk with a model")->group(kGroupGenerate);
  command->footer(
      "Answers go to stdout, everything else to stderr. Without a terminal each line of standard\n"
      "input is a message.\n"
      "examples:\n"
      "  llm-run chat -m model.gguf --system-prompt \"Answer briefly.\"\n"
      "  echo \"What is the capital of Spain?\" | llm-run chat -q --temp 0");
  AddGenerationFlags(*command, options->generation);
  AddChatTemplateFlags(*command, options->chat_template);
  command->add_option("--system-prompt", options->system, "the system message (-sys)");
  command->callback([options, command, &context] {
    context.action = [options, command] {
      CompleteGenerationFlags(*command, options->generation);
      options->chat_template.quiet = options->generation.quiet;
      const Result<int> exit_code = RunChat(*options);
      return exit_code ? *exit_code : ReportError(exit_code.error());
    };
  });
}

}  // namespace llmrun
