// Options of llama.cpp that have nothing to set here, so that a command line in use elsewhere runs
// or says in one line why it cannot.
// Source of the names: llama.cpp's common/arg.cpp and its llama-bench.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"

namespace llmrun {

// If (*args)[at] is one: takes it out, with its value, and adds to `*notes` what is not as it asked
// for; true. One without which something else would be done than was meant is a kUsage error.
// `command`: "run", "chat", ...
Result<bool> DropForeignOption(const std::string& command, size_t at,
                               std::vector<std::string>* args, std::vector<Fallback>* notes);

}  // namespace llmrun
