#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace llmrun {

int ExitCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return 64;
    case ErrorCode::kBadData:
      return 65;
    case ErrorCode::kNoInput:
      return 66;
    case ErrorCode::kUnavailable:
      return 69;
    case ErrorCode::kInternal:
      return 70;
    case ErrorCode::kOs:
      return 71;
    case ErrorCode::kResource:
      return 75;
  }
  return 70;
}

std::string Error::OneLine() const {
  return fix.empty() ? message : fmt::format("{}; fix: {}", message, fix);
}

tl::unexpected<Error> OsError(int errnum, std::string_view what) {
  ErrorCode code = ErrorCode::kOs;
  if (errnum == ENOMEM) code = ErrorCode::kResource;
  if (errnum == ENOENT || errnum == EACCES || errnum == EISDIR || errnum == ENOTDIR) {
    code = ErrorCode::kNoInput;
  }
  return MakeError(code, "{}: {}", what, std::generic_category().message(errnum));
}

}  // namespace llmrun
