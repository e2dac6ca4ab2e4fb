#include "cli/args.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "cli/foreign_options.h"

namespace llmrun {
namespace {

constexpr std::pair<std::string_view, std::string_view> kLongNames[] = {
    {"-tb", "--threads-batch"},
    {"-ub", "--ubatch-size"},
    {"-ctk", "--cache-type-k"},
    {"-ctv", "--cache-type-v"},
    {"-dio", "--direct-io"},
    {"-lm", "--load-mode"},
    {"-jf", "--json-schema-file"},
    {"-sys", "--system-prompt"},
    {"-md", "--model-draft"},
    {"-ctkd", "--cache-type-k-draft"},
    {"-ctvd", "--cache-type-v-draft"},
    {"-sp", "--special"},
    {"-Cr", "--pin"},
    {"--cpu-range", "--pin"},
    {"-thp", "--hugepages=thp"},
    {"--transparent-huge-pages", "--hugepages=thp"},
    {"-nr", "--repack=off"},
    {"--no-repack", "--repack=off"},
    {"--log-disable", "--quiet"},
    {"--draft", "--draft-max"},
    {"--draft-n", "--draft-max"},
};

// Options whose value may be any text, also one that looks like an option.
constexpr std::string_view kTextOptions[] = {"-p",
                                             "--prompt",
                                             "-f",
                                             "--file",
                                             "-m",
                                             "--model",
                                             "--model-draft",
                                             "--spec-draft-model",
                                             "-r",
                                             "--reverse-prompt",
                                             "--dry-sequence-breaker",
                                             "--grammar",
                                             "-j",
                                             "--json-schema",
                                             "-sys",
                                             "--system-prompt",
                                             "--chat-template"};

bool IsTextOption(std::string_view arg) {
  return std::ranges::find(kTextOptions, arg) != std::end(kTextOptions);
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool IsOfSeveralLetters(const std::string& arg) {
  return arg.size() > 2 && arg[0] == '-' && IsLetter(arg[1]) && IsLetter(arg[2]);
}

}  // namespace

Result<NormalizedArgs> NormalizeArgs(std::vector<std::string> args,
                                     const std::vector<std::string>& commands) {
  const bool for_the_program =
      !args.empty() && (args[0] == "-h" || args[0] == "--help" || args[0] == "--version" ||
                        std::ranges::find(commands, args[0]) != commands.end());
  if (!for_the_program) args.insert(args.begin(), "run");
  const std::string command = args[0];
  NormalizedArgs result;
  for (size_t i = 1; i < args.size() && args[i] != "--"; ++i) {
    const size_t equals = args[i].find('=');
    if (equals != std::string::npos && args[i].starts_with("--") &&
        IsTextOption(std::string_view(args[i]).substr(0, equals))) {
      // CLI11 takes the next argument for the value of "--prompt=".
      args.insert(args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args[i].substr(equals + 1));
      args[i].resize(equals);
    }
    ASSIGN_OR_RETURN(const bool dropped, DropForeignOption(command, i, &args, &result.notes));
    if (dropped) {
      --i;
      continue;
    }
    const auto* known =
        std::ranges::find(kLongNames, args[i], [](const auto& p) { return p.first; });
    if (known != std::end(kLongNames)) args[i] = known->second;
    if (result.unknown.empty() && IsOfSeveralLetters(args[i])) result.unknown = args[i];
    if (IsTextOption(args[i])) ++i;
  }
  result.args = std::move(args);
  return result;
}

}  // namespace llmrun
