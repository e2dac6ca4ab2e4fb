// Keeping memory from being swapped or dropped, by mlock(2).
// Threads: Thread-safe. Failure: kResource where the limit on locked memory forbids it, with what
// was wanted and what is allowed; kOs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"

namespace llmrun {

// Before anything is loaded: whether so many bytes more could be locked.
Status CheckLockable(uint64_t bytes);
Status LockMemory(std::span<const std::byte> range);

}  // namespace llmrun
