// What happens to argv before CLI11 sees it: the spellings that users of llama.cpp have in their
// fingers ("-tb", "-ub": CLI11 takes short options of one letter only) become long options, those
// that mean nothing here are left out (cli/foreign_options.h), and "run" is put in front when no
// subcommand was typed.
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"

namespace llmrun {

struct NormalizedArgs {
  std::vector<std::string> args;
  std::vector<Fallback> notes;  // of options that were left out
  // The first one with several letters behind a single dash, which CLI11 would take for the value
  // of a short option ("-fa" for the file "a"); or empty.
  std::string unknown;
};

// `args` without the program's name. An argument that is the value of an option taking free text
// (-p, --prompt, ...) or stands behind "--" is never touched.
// `commands`: the names of the subcommands. kUsage: an option of llama.cpp that cannot be left out.
Result<NormalizedArgs> NormalizeArgs(std::vector<std::string> args,
                                     const std::vector<std::string>& commands);

}  // namespace llmrun
