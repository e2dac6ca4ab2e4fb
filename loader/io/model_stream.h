// A model that comes through a pipe or socket (`zstdcat m.gguf.zst | llm-run -m -`): its bytes come
// once, front to back, and how many there are is known at the end only. The header is kept while it
// is parsed; what follows is read straight to its place in memory.
//
// Threads: Single-thread, one after the other. Owner: the caller owns the descriptor.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "loader/gguf/byte_source.h"

namespace llmrun {

class ModelStream final : public ByteSource {
 public:
  // Waits for the first bytes. Failure: kNoInput when none come, or none can; kOs.
  static Result<std::unique_ptr<ModelStream>> Open(int fd, std::string label);

  // More than any model has, until the end was seen.
  uint64_t SizeBytes() const override { return ended_ ? read_bytes_ : kUnknownBytes; }
  Status Prefetch(uint64_t end) override;
  // Everything read so far is kept for this, until ReadNext() goes past it.
  Status ReadAt(uint64_t offset, std::span<std::byte> out) override;
  const std::string& Label() const override { return label_; }

  // Fills `out` from `offset` and lets go of what lies before. Requires: `offset` is not below the
  // end of the last such read. Waits until the bytes come, or `cancelled` (may be null) is set.
  // Failure: kBadData when the stream ends before, kResource when cancelled, kOs.
  Status ReadNext(uint64_t offset, std::span<std::byte> out, const std::atomic<bool>* cancelled);

 private:
  static constexpr uint64_t kUnknownBytes = uint64_t{1} << 62;

  ModelStream(int fd, std::string label) : fd_(fd), label_(std::move(label)) {}
  // As many bytes as come, at most out.size(): fewer when the stream ends.
  Result<size_t> Take(std::span<std::byte> out, const std::atomic<bool>* cancelled);
  tl::unexpected<Error> EndedBefore(uint64_t byte) const;

  const int fd_;
  const std::string label_;
  std::vector<std::byte> head_;  // the first bytes, or none any more
  uint64_t read_bytes_ = 0;      // from fd_
  uint64_t next_ = 0;            // lowest offset that ReadNext() may be asked for
  bool ended_ = false;
};

}  // namespace llmrun
