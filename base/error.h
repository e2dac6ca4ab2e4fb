// Errors as values. Every function that can fail on input, on the machine or on a limit returns a
// Result<T>; broken invariants of our own go through CHECK (base/check.h) instead.
//
// Threads: values, no shared state.
// An Error reads as one line for a person: what was wanted, what was found, and how to fix it.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace llmrun {

// What went wrong, in the classes a script can act on. ExitCode() gives the process exit code.
enum class ErrorCode : uint8_t {
  kUsage,        // 64: the request cannot be met as typed
  kBadData,      // 65: the model file is damaged, hostile, or not what it says
  kNoInput,      // 66: the input does not exist or cannot be opened
  kUnavailable,  // 69: a feature that was required is not available here
  kInternal,     // 70: a defect of llm-run
  kOs,           // 71: a system call failed
  kResource,     // 75: out of memory, pages, or another limit
};

int ExitCode(ErrorCode code);  // sysexits(3) value, see above

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // names file, tensor, offset, expected and found, where they apply
  std::string fix;      // what the user can do, as a command where there is one; may be empty

  // "message" or "message; fix: ..." on one line.
  std::string OneLine() const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// MakeError(ErrorCode::kBadData, "{}: tensor '{}' ends at {}, file has {}", ...)
template <typename... Args>
tl::unexpected<Error> MakeError(ErrorCode code, fmt::format_string<Args...> format,
                                Args&&... args) {
  return tl::unexpected<Error>(
      Error{code, fmt::format(format, std::forward<Args>(args)...), std::string()});
}

// The same, with a fix: MakeFixableError(code, "sudo llm-run hugepages reserve", "...", ...)
template <typename... Args>
tl::unexpected<Error> MakeFixableError(ErrorCode code, std::string fix,
                                       fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(
      Error{code, fmt::format(format, std::forward<Args>(args)...), std::move(fix)});
}

// An Error for a failed system call: "<what>: <strerror(errnum)>". ENOMEM becomes kResource,
// ENOENT/EACCES/EISDIR become kNoInput, everything else kOs.
tl::unexpected<Error> OsError(int errnum, std::string_view what);

}  // namespace llmrun

// RETURN_IF_ERROR(expression that is a Status or Result);
#define RETURN_IF_ERROR(expr)                                         \
  do {                                                                \
    auto llmrun_status_ = (expr);                                     \
    if (!llmrun_status_) {                                            \
      return tl::unexpected<::llmrun::Error>(llmrun_status_.error()); \
    }                                                                 \
  } while (false)

// ASSIGN_OR_RETURN(auto value, expression that is a Result<T>);
#define ASSIGN_OR_RETURN(decl, expr) \
  LLMRUN_ASSIGN_OR_RETURN_(LLMRUN_CONCAT_(llmrun_result_, __LINE__), decl, expr)
#define LLMRUN_ASSIGN_OR_RETURN_(tmp, decl, expr)                   \
  auto tmp = (expr);                                                \
  if (!tmp) {                                                       \
    return tl::unexpected<::llmrun::Error>(std::move(tmp).error()); \
  }                                                                 \
  decl = *std::move(tmp)
#define LLMRUN_CONCAT_(a, b) LLMRUN_CONCAT_INNER_(a, b)
#define LLMRUN_CONCAT_INNER_(a, b) a##b
