// Overflow-safe arithmetic for every number that comes from a file or a user.
// Each function returns false (and leaves *out unspecified) when the true result does not fit.
#pragma once

#include <cstdint>

namespace llmrun {

[[nodiscard]] inline bool CheckedAdd(uint64_t a, uint64_t b, uint64_t* out) {
  return !__builtin_add_overflow(a, b, out);
}

[[nodiscard]] inline bool CheckedMul(uint64_t a, uint64_t b, uint64_t* out) {
  return !__builtin_mul_overflow(a, b, out);
}

constexpr bool IsPowerOfTwo(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

// Requires: alignment is a power of two.
constexpr uint64_t AlignDown(uint64_t x, uint64_t alignment) { return x & ~(alignment - 1); }

// Requires: alignment is a power of two.
[[nodiscard]] inline bool CheckedAlignUp(uint64_t x, uint64_t alignment, uint64_t* out) {
  uint64_t sum = 0;
  if (!CheckedAdd(x, alignment - 1, &sum)) return false;
  *out = AlignDown(sum, alignment);
  return true;
}

// For sizes of our own that are known to be small enough.
constexpr uint64_t AlignUp(uint64_t x, uint64_t alignment) {
  return AlignDown(x + alignment - 1, alignment);
}

}  // namespace llmrun
