// Turns SIGBUS inside a mapped file (truncated or unreadable while it is in use) into something
// that can be asked about: from the first missing page on, the mapping reads as zeros, and the
// place is kept. Whoever computes with the bytes asks afterwards. SIGBUS elsewhere goes where it
// went before.
//
// Threads: Thread-safe; the handler is async-signal-safe (it maps memory and writes atomics).
// Failure: with more than kMaxRanges ranges the rest is not guarded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace llmrun {

class BusGuard {
 public:
  static constexpr size_t kMaxRanges = 1024;

  // The range is a mapping and stays one until destruction.
  explicit BusGuard(std::span<const std::byte> range);
  ~BusGuard();
  BusGuard(const BusGuard&) = delete;
  BusGuard& operator=(const BusGuard&) = delete;

  // Offset of the first page found missing; nullopt while all is well.
  std::optional<uint64_t> FirstMissing() const;

 private:
  int slot_ = -1;
};

}  // namespace llmrun
