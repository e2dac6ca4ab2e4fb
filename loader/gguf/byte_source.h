// Where the bytes of a GGUF come from. The parser does no I/O of its own: it reads through this.
// Implementations: MemByteSource here; FileByteSource and ModelStream in loader/io.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"

namespace llmrun {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t SizeBytes() const = 0;
  // Of a source that does not know its size yet (a pipe): gets the bytes before `end`. Then either
  // they are there, or SizeBytes() is what it is.
  virtual Status Prefetch(uint64_t /*end*/) { return {}; }
  // Fills all of `out` from `offset`. On failure the contents of `out` are unspecified.
  // Requires: offset + out.size() <= SizeBytes().
  virtual Status ReadAt(uint64_t offset, std::span<std::byte> out) = 0;
  // Names the source in error messages (a path).
  virtual const std::string& Label() const = 0;
};

// Bytes that are already in memory; they must outlive the source.
class MemByteSource final : public ByteSource {
 public:
  MemByteSource(std::span<const std::byte> bytes, std::string label)
      : bytes_(bytes), label_(std::move(label)) {}
  uint64_t SizeBytes() const override { return bytes_.size(); }
  Status ReadAt(uint64_t offset, std::span<std::byte> out) override;
  const std::string& Label() const override { return label_; }

 private:
  std::span<const std::byte> bytes_;
  std::string label_;
};

}  // namespace llmrun
