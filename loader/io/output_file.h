// A file that is written whole or not at all: under "<path>.<pid>.tmp" until it is committed, which
// puts it on the device and gives it its name. Replaces a file that is there.
//
// Threads: WriteAt() is Thread-safe, the rest Thread-compatible. Owner: removes the temporary file
// unless Commit() succeeded.
// Failure: Create() gives kResource with numbers when the file system lacks the space, kNoInput,
// kOs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/unique_fd.h"

namespace llmrun {

class OutputFile {
 public:
  enum class Readers : uint8_t { kAll, kOwner };

  // Of so many bytes, which are 0 until they are written.
  static Result<std::unique_ptr<OutputFile>> Create(const std::string& path, uint64_t bytes,
                                                    Readers readers = Readers::kAll);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  Status WriteAt(uint64_t offset, std::span<const std::byte> bytes);
  Status Commit();
  const std::string& path() const { return path_; }

 private:
  OutputFile(UniqueFd fd, std::string path, std::string temporary)
      : fd_(std::move(fd)), path_(std::move(path)), temporary_(std::move(temporary)) {}

  UniqueFd fd_;
  std::string path_;
  std::string temporary_;  // empty once committed
};

// A whole file of this text.
Status WriteWholeFile(const std::string& path, std::string_view text,
                      OutputFile::Readers readers = OutputFile::Readers::kAll);

}  // namespace llmrun
