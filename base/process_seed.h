// A random number that stays the same for the life of the process: for hash tables whose keys come
// from files, so that nobody can make a file whose keys all collide.
// Threads: Thread-safe.
#pragma once

#include <cstdint>

namespace llmrun {

// From the kernel; a constant where the kernel has no random bytes to give yet.
uint64_t ProcessSeed();

}  // namespace llmrun
