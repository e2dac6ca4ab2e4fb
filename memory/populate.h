// Touching a range with several threads, in order, with the result checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/function_ref.h"

namespace llmrun {

struct PopulateSpec {
  uint64_t page_bytes = 4096;    // the range is a multiple of it
  int threads = 1;               // at least 1
  std::optional<unsigned> node;  // run the threads on this node's CPUs, as far as permitted:
                                 // they zero the pages, and without mbind they decide the place
};

// What was touched: a prefix of the range, whole pages. errnum is 0 when that is all of it.
struct PopulateOutcome {
  uint64_t done_bytes = 0;
  int errnum = 0;
};

// `touch` gets whole pages and returns 0 or an errno value; EINTR and EAGAIN are tried again.
// Where a piece of several pages fails, it is tried page by page, so that done_bytes is exact.
PopulateOutcome Populate(std::span<std::byte> range, const PopulateSpec& spec,
                         FunctionRef<int(std::byte*, uint64_t)> touch);

}  // namespace llmrun
