// A file mapped for reading, whole. It places nothing: the bytes are those of the page cache.
//
// Threads: Thread-compatible; Populate() of several ranges may run on several threads.
// Owner: unmaps on destruction. A file that is truncated later reads as zeros from there on, and
// FirstMissing() says where (see bus_guard.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"
#include "loader/io/bus_guard.h"

namespace llmrun {

class MappedFile {
 public:
  // The descriptor may be closed afterwards, but Populate() wants it. Requires: bytes > 0.
  static Result<MappedFile> Map(int fd, uint64_t bytes, std::string label);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_bytes_}; }

  // Brings a range into the page cache and the page tables. `offset` is a multiple of 4096; the
  // range may end after the file. Failure: kBadData when the file became shorter, else kOs.
  Status Populate(uint64_t offset, uint64_t bytes) const;
  // Offset of the first page that was read and found missing; nullopt while all is well.
  std::optional<uint64_t> FirstMissing() const { return guard_->FirstMissing(); }
  // mlock(2). Failure: kResource with the limit and how to raise it.
  Status Lock() const;

 private:
  MappedFile(int fd, const std::byte* data, uint64_t size_bytes, std::string label)
      : fd_(fd),
        data_(data),
        size_bytes_(size_bytes),
        label_(std::move(label)),
        guard_(std::make_unique<BusGuard>(bytes())) {}

  int fd_;
  const std::byte* data_;
  uint64_t size_bytes_;
  std::string label_;
  std::unique_ptr<BusGuard> guard_;
};

}  // namespace llmrun
