// Where a prompt comes from: -p, -f, standard input. The bytes are taken as they are.
// Threads: Single-thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

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

// A prompt for measurements: any tokens will do for timing, but the same ones each time.
std::vector<TokenId> SomeTokens(int64_t count, int64_t n_vocab);

}  // namespace llmrun
