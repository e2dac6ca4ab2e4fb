// What happens to argv before CLI11 sees it: the spellings that users of llama.cpp have in their
// fingers ("-tb", "-ub": CLI11 takes short options of one letter only) become long options, and
// "run" is put in front when no subcommand was typed.
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

namespace llmrun {

// `args` without the program's name. An argument that is the value of an option taking free text
// (-p, --prompt, ...) or stands behind "--" is never touched.
// `commands`: the names of the subcommands.
std::vector<std::string> NormalizeArgs(std::vector<std::string> args,
                                       const std::vector<std::string>& commands);

}  // namespace llmrun
