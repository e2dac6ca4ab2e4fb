#include "cli/args.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

namespace llmrun {
namespace {

constexpr std::pair<std::string_view, std::string_view> kLongNames[] = {
    {"-tb", "--threads-batch"},        {"-ub", "--ubatch-size"},
    {"-ctk", "--cache-type-k"},        {"-ctv", "--cache-type-v"},
    {"-dio", "--direct-io"},           {"-lm", "--load-mode"},
    {"-jf", "--json-schema-file"},     {"-sys", "--system-prompt"},
    {"-md", "--model-draft"},          {"-ctkd", "--cache-type-k-draft"},
    {"-ctvd", "--cache-type-v-draft"},
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

}  // namespace

std::vector<std::string> NormalizeArgs(std::vector<std::string> args,
                                       const std::vector<std::string>& commands) {
  for (size_t i = 0; i < args.size() && args[i] != "--"; ++i) {
    const size_t equals = args[i].find('=');
    if (equals != std::string::npos && args[i].starts_with("--") &&
        IsTextOption(std::string_view(args[i]).substr(0, equals))) {
      // CLI11 takes the next argument for the value of "--prompt=".
      args.insert(args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args[i].substr(equals + 1));
      args[i].resize(equals);
    }
    const auto* known =
        std::ranges::find(kLongNames, args[i], [](const auto& p) { return p.first; });
    if (known != std::end(kLongNames)) args[i] = known->second;
    if (IsTextOption(args[i])) ++i;
  }
  const bool for_the_program =
      !args.empty() && (args[0] == "-h" || args[0] == "--help" || args[0] == "--version" ||
                        std::ranges::find(commands, args[0]) != commands.end());
  if (!for_the_program) args.insert(args.begin(), "run");
  return args;
}

}  // namespace llmrun
