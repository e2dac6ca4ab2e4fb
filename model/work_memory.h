// Memory that a session works in: zeroed, aligned to a page, transparent huge pages asked for, and
// there before it is used.
// Failure: kResource when memory is short.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "memory/arena.h"
#include "memory/node_set.h"

namespace llmrun {

// An error begins with `what` and the size, and has `fix`. Requires: 1 <= bytes <= 2^62.
// `nodes`: as of an Arena.
Result<Arena> ReserveWorkMemory(uint64_t bytes, std::string_view what, std::string fix,
                                const NodeSet& nodes);

}  // namespace llmrun
