// That a thread could not be started, which is a matter of limits.
// Threads: pure function.
#pragma once

#include <string_view>
#include <system_error>

#include "base/error.h"

namespace llmrun {

// kResource; `what` was to be done: "starting a thread for loading".
tl::unexpected<Error> ThreadError(const std::system_error& error, std::string_view what);

}  // namespace llmrun
