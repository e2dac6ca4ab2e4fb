// What a test must know of the sanitizer it was compiled with.
#pragma once

namespace llmrun {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LLMRUN_TESTS_SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LLMRUN_TESTS_SANITIZED 1
#endif

#if defined(LLMRUN_TESTS_SANITIZED)
inline constexpr bool kAnySanitizer = true;
#else
inline constexpr bool kAnySanitizer = false;
#endif

}  // namespace llmrun
