// Where a prompt comes from: -p, -f, standard input. The bytes are taken as they are.
// Threads: Single-thread.
#pragma once

#include <string>

#include "base/error.h"

namespace llmrun {

struct PromptOptions {
  std::string text;
  bool has_text = false;
  std::string file;     // "-" = standard input; empty = none
  bool escape = false;  // \n \t \r \\ \" \' \xHH in `text`
};

// All bytes of a file, or of standard input for "-". kNoInput when it cannot be read, kResource
// when it is larger than 256 MiB.
Result<std::string> ReadWholeFile(const std::string& path);

// The prompt that the options name; standard input when they name none and it is not a terminal.
// kUsage when both are given, or when there is nothing to say and nobody to ask.
Result<std::string> ReadPrompt(const PromptOptions& options);

// Replaces the escapes named above; unknown ones stay as they are.
std::string Unescape(const std::string& text);

}  // namespace llmrun
