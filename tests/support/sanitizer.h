// What a test must know of the sanitizer it was compiled with.
#pragma once

#include <cstdint>

namespace llmrun {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAnySanitizer = true;
#else
inline constexpr bool kAnySanitizer = kThreadSanitizer;
#endif

// The size of a test that runs on one thread. ThreadSanitizer finds nothing there and takes twenty
// times as long: it gets a tenth, every other build the whole.
constexpr uint32_t SingleThreadedSize(uint32_t size) { return kThreadSanitizer ? size / 10 : size; }

}  // namespace llmrun
