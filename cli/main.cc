// llm-run: parses the command line, runs one subcommand, and turns its outcome into an exit code.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/engine.h"
#include "cli/nearest.h"
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
    {"imatrix", AddImatrixCommand},
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

// The command that was typed: of "hugepages plan" that is "plan".
const CLI::App& TypedCommand(const CLI::App& app, const std::vector<std::string>& args) {
  const CLI::App* typed = &app;
  for (const std::string& arg : args) {
    const auto next =
        typed->get_subcommands([&](const CLI::App* sub) { return sub->get_name() == arg; });
    if (next.empty()) break;
    typed = next.front();
  }
  return *typed;
}

// "llm-run hugepages plan --help"
std::string HelpOf(const CLI::App& command) {
  std::string names;
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    names = app->get_name() + " " + names;
  }
  return names + "--help";
}

// "did you mean --repack? else llm-run run --help"
std::string DidYouMean(std::string_view typed, const std::vector<std::string>& names,
                       const std::string& help) {
  const std::string nearest = Nearest(typed, names);
  return nearest.empty() ? help : fmt::format("did you mean {}? else {}", nearest, help);
}

Error NoSuchOption(const CLI::App& command, const std::string& typed) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  const std::string name = typed.substr(0, typed.find('='));
  return {ErrorCode::kUsage, fmt::format("there is no option {}", name),
          DidYouMean(name, names, HelpOf(command))};
}

// CLI11's own words, but for an option that does not exist.
Error ParseFailure(const CLI::ParseError& error, const CLI::App& app, const CLI::App& command) {
  const std::vector<std::string> extras = app.remaining(true);
  const auto option = std::ranges::find_if(
      extras, [](const std::string& arg) { return arg.size() > 1 && arg[0] == '-'; });
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) &&
      option != extras.end()) {
    return NoSuchOption(command, *option);
  }
  return {ErrorCode::kUsage, error.what(), HelpOf(command)};
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
                        DidYouMean(argv[1], names, "llm-run --help lists the commands")});
  }
  Result<NormalizedArgs> normalized = NormalizeArgs({argv + 1, argv + argc}, names);
  if (!normalized) return ReportError(normalized.error());
  std::vector<std::string>& args = normalized->args;
  CommandContext context;
  AddCommands(args.front(), app, context);
  const CLI::App& command = TypedCommand(app, args);
  if (!normalized->unknown.empty()) return ReportError(NoSuchOption(command, normalized->unknown));
  std::ranges::reverse(args);  // as CLI11 wants a vector
  try {
    app.parse(std::move(args));
  } catch (const CLI::CallForHelp&) {
    return Finish(WriteStdout(app.help()));  // of the command that was typed
  } catch (const CLI::CallForVersion& version) {
    return Finish(WriteStdout(version.what()));
  } catch (const CLI::ParseError& error) {
    return ReportError(ParseFailure(error, app, command));
  }
  const CLI::Option* quiet = command.get_option_no_throw("--quiet");
  if (quiet == nullptr || quiet->empty()) {
    for (const Fallback& note : normalized->notes) Note("note   {}", note.OneLine());
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
