// The subcommands of llm-run, one file each (split and merge share one):
// cmd_<name>.cc registers its options on the app and,
// when it is the one that was typed, sets CommandContext::action. main.cc parses and runs it.
//
// A command's options live in a std::shared_ptr that its callback captures, so that they outlive
// the parse. Actions return the process exit code; Finish() (cli/output.h) makes one of a Status.
//
//   void AddExampleCommand(CLI::App& app, CommandContext& context) {
//     auto options = std::make_shared<ExampleOptions>();
//     CLI::App* command = app.add_subcommand("example", "one line")->group(kGroupModel);
//     command->footer("example:\n  llm-run example -m model.gguf");
//     AddModelOptions(*command, options->model);
//     command->callback([options, &context] {
//       context.action = [options] { return Finish(Example(*options)); };
//     });
//   }
#pragma once

#include <functional>

#include "cli/cli11_fwd.h"

namespace llmrun {

struct CommandContext {
  std::function<int()> action;  // of the command that was typed; the process exit code
};

// Headings of `llm-run --help`.
inline constexpr char kGroupGenerate[] = "Generate text";
inline constexpr char kGroupModel[] = "Look at models and loading";
inline constexpr char kGroupMake[] = "Make models";
inline constexpr char kGroupMeasure[] = "Measure";
inline constexpr char kGroupMachine[] = "Prepare the machine";

void AddRunCommand(CLI::App& app, CommandContext& context);
void AddChatCommand(CLI::App& app, CommandContext& context);
void AddEvalCommand(CLI::App& app, CommandContext& context);
void AddTokenizeCommand(CLI::App& app, CommandContext& context);
void AddInspectCommand(CLI::App& app, CommandContext& context);
void AddPlanCommand(CLI::App& app, CommandContext& context);
void AddVerifyCommand(CLI::App& app, CommandContext& context);
void AddQuantizeCommand(CLI::App& app, CommandContext& context);
void AddImatrixCommand(CLI::App& app, CommandContext& context);
void AddPerplexityCommand(CLI::App& app, CommandContext& context);
void AddConvertCommand(CLI::App& app, CommandContext& context);
void AddSplitCommand(CLI::App& app, CommandContext& context);
void AddMergeCommand(CLI::App& app, CommandContext& context);
void AddSynthCommand(CLI::App& app, CommandContext& context);
void AddBenchCommand(CLI::App& app, CommandContext& context);
void AddBenchLoadCommand(CLI::App& app, CommandContext& context);
void AddCacheCommand(CLI::App& app, CommandContext& context);
void AddDoctorCommand(CLI::App& app, CommandContext& context);
void AddHugepagesCommand(CLI::App& app, CommandContext& context);
void AddResidentCommand(CLI::App& app, CommandContext& context);

}  // namespace llmrun
