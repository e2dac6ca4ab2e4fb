// llm-run: parses the command line, runs one subcommand, and turns its outcome into an exit code.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/engine.h"
#include "cli/output.h"

namespace llmrun {
namespace {

constexpr char kDescription[] =
    "llm-run: gets a model's weights into the right memory fast, proves it, and runs them on the "
    "CPU.\n\n"
    "  llm-run -p \"Once upon a time\" -n 64            the tiny model that comes with llm-run\n"
    "  llm-run -m model.gguf --loader=io_uring --hugepages=1G -p \"Hello\"\n"
    "  llm-run doctor                                 what this machine offers, and what to fix\n";
constexpr char kFooter[] =
    "Without a command, 'run' is meant. 'llm-run COMMAND --help' explains each of them.\n"
    "Exit codes: 0 ok, 64 usage, 65 bad model data, 66 no input, 69 feature unavailable,\n"
    "70 defect of llm-run, 71 operating system error, 75 out of memory or limits, 130 Ctrl-C.";

std::string VersionText() {
  const Result<IsaLevel> isa = WantedIsa();
  return fmt::format("llm-run {}\ncompiler {}\nisa {}\n", LLMRUN_VERSION, LLMRUN_COMPILER,
                     isa ? std::string(NameOf(*isa)) : isa.error().OneLine());
}

struct Command {
  const char* name;
  void (*add)(CLI::App&, CommandContext&);
};
constexpr Command kCommands[] = {
    {"run", AddRunCommand},
    {"chat", AddChatCommand},
    {"tokenize", AddTokenizeCommand},
    {"inspect", AddInspectCommand},
    {"plan", AddPlanCommand},
    {"verify", AddVerifyCommand},
    {"eval", AddEvalCommand},
    {"bench", AddBenchCommand},
    {"bench-load", AddBenchLoadCommand},
    {"cache", AddCacheCommand},
    {"synth", AddSynthCommand},
    {"doctor", AddDoctorCommand},
    {"hugepages", AddHugepagesCommand},
    {"resident", AddResidentCommand},
    {"quantize", AddQuantizeCommand},
    {"perplexity", AddPerplexityCommand},
    {"split", AddSplitCommand},
    {"merge", AddMergeCommand},
    {"convert", AddConvertCommand},
};

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.emplace_back(command.name);
  return names;
}

// The one that was typed, or all for a help that lists them: their options take longer to set up
// than a short command to run.
void AddCommands(const std::string& typed, CLI::App& app, CommandContext& context) {
  const bool one =
      std::ranges::any_of(kCommands, [&](const Command& c) { return typed == c.name; });
  for (const Command& command : kCommands) {
    if (!one || typed == command.name) command.add(app, context);
  }
}

// The program and the chosen subcommands: "llm-run hugepages plan".
std::string TypedCommand(const CLI::App& app) {
  std::string name = app.get_name();
  for (const CLI::App* sub : app.get_subcommands()) name += " " + TypedCommand(*sub);
  return name;
}

// "inspct": a word that is meant to be a command, rather than a model's path.
bool IsMistypedCommand(const std::string& arg, const std::vector<std::string>& commands) {
  const auto in_a_name = [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; };
  std::error_code ignored;
  return arg[0] != '-' && std::ranges::all_of(arg, in_a_name) &&
         std::ranges::find(commands, arg) == commands.end() &&
         !std::filesystem::exists(arg, ignored);
}

int Main(int argc, char** argv) {
  CLI::App app(kDescription, "llm-run");
  app.footer(kFooter);
  app.get_formatter()->column_width(30);
  app.get_formatter()->label("REQUIRED", "(required)");
  app.get_formatter()->label("SUBCOMMAND", "COMMAND ...");
  app.set_help_flag("-h,--help", "this text");
  app.set_version_flag("--version", VersionText, "version, compiler and instruction set in use");
  app.require_subcommand(1, 1);
  const std::vector<std::string> names = CommandNames();
  if (argc > 1 && *argv[1] != '\0' && IsMistypedCommand(argv[1], names)) {
    return ReportError({ErrorCode::kUsage, fmt::format("there is no command or file '{}'", argv[1]),
                        "llm-run --help lists the commands"});
  }
  std::vector<std::string> args = NormalizeArgs({argv + 1, argv + argc}, names);
  CommandContext context;
  AddCommands(args.empty() ? "" : args.front(), app, context);
  std::ranges::reverse(args);  // as CLI11 wants a vector
  try {
    app.parse(std::move(args));
  } catch (const CLI::CallForHelp&) {
    return Finish(WriteStdout(app.help()));  // of the command that was typed
  } catch (const CLI::CallForVersion& version) {
    return Finish(WriteStdout(version.what()));
  } catch (const CLI::ParseError& error) {
    return ReportError({ErrorCode::kUsage, error.what(), TypedCommand(app) + " --help"});
  }
  return context.action();
}

}  // namespace
}  // namespace llmrun

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is EPIPE, see WriteStdout
  using llmrun::ErrorCode;
  try {
    return llmrun::Main(argc, argv);
  } catch (const std::bad_alloc&) {
    return llmrun::ReportError({ErrorCode::kResource, "out of memory", ""});
  } catch (const std::exception& error) {
    return llmrun::ReportError({ErrorCode::kInternal, error.what(), "please report this"});
  }
}
