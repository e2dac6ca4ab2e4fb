// Moving pages of ours to the NUMA node where they should have come, by move_pages(2).
// Threads: Thread-safe; others may read the range meanwhile.
#pragma once

#include <cstddef>
#include <span>

#include "base/error.h"

namespace llmrun {

// Moves every page of the range that lies on another node; what the kernel does not move (no memory
// there, a page that others share) stays: look where they are afterwards (residency.h).
// Failure: kUnavailable where that is forbidden (EPERM, ENOSYS), kOs.
Status MoveToNode(std::span<const std::byte> range, unsigned node);

}  // namespace llmrun
