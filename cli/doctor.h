// What `llm-run doctor` looks at: one Check a line, each with what was found and how to make it
// better. Everything is tried or read from the machine; nothing is changed.
// Threads: Single-thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/machine.h"

namespace llmrun {

enum class CheckLevel : uint8_t {
  kOk,
  kWarn,  // works, but slower or with less than it could
  kFail,  // llm-run cannot work like this
};
std::string_view NameOf(CheckLevel level);  // "ok", "warn", "fail"

struct Check {
  std::string name;
  CheckLevel level = CheckLevel::kOk;
  std::string found;
  std::string fix;  // a command where there is one; may be empty
};
using Checks = std::vector<Check>;

void CheckProcessor(const Machine& machine, Checks& checks);
void CheckMemory(const Machine& machine, Checks& checks);
void CheckHugePages(const Machine& machine, Checks& checks);
// `model_path` may be empty: then the device of no model is looked at.
void CheckStorage(const std::string& model_path, Checks& checks);

}  // namespace llmrun
