// A regular file as a ByteSource, read with pread(2).
//
// Threads: Thread-safe. Failure: Open() gives kNoInput for what is not there, may not be read, or
// is not a regular file; ReadAt() gives kBadData when the file has become shorter, kOs when the
// device fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/unique_fd.h"
#include "loader/gguf/byte_source.h"

namespace llmrun {

class FileByteSource final : public ByteSource {
 public:
  static Result<std::unique_ptr<FileByteSource>> Open(const std::string& path);

  uint64_t SizeBytes() const override { return size_bytes_; }  // as of Open()
  Status ReadAt(uint64_t offset, std::span<std::byte> out) override;
  const std::string& Label() const override { return path_; }
  int fd() const { return fd_.get(); }

 private:
  FileByteSource(UniqueFd fd, std::string path, uint64_t size_bytes)
      : fd_(std::move(fd)), path_(std::move(path)), size_bytes_(size_bytes) {}

  UniqueFd fd_;
  std::string path_;
  uint64_t size_bytes_;
};

}  // namespace llmrun
