// CHECK(condition): an always-on test of our own invariants. It says a defect of llm-run was found,
// prints file, line and condition to stderr and aborts. Never use it on input: input gets an Error.
#pragma once

namespace llmrun {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace llmrun

#define CHECK(condition)                                     \
  do {                                                       \
    if (!(condition)) [[unlikely]] {                         \
      ::llmrun::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                        \
  } while (false)
