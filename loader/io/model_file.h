// An open file of weights: its descriptors, what direct I/O wants of it, and who it is, so that a
// file that changes while it is loaded is noticed.
//
// Threads: Thread-compatible. Owner: closes its descriptors.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace llmrun {

// Plans read whole blocks of this size; a file whose direct I/O wants more is read without it.
inline constexpr uint64_t kMaxDirectAlignment = 4096;

struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t bytes = 0;
  int64_t modified_seconds = 0;
  int64_t modified_nanoseconds = 0;
  bool operator==(const FileIdentity&) const = default;
};

// Who an open file is now. Failure: kOs.
Result<FileIdentity> IdentityOf(int fd, const std::string& label);

struct ModelFile {
  std::string label;  // the path
  UniqueFd fd;
  UniqueFd direct_fd;                               // O_DIRECT; not valid where that is refused
  uint64_t direct_alignment = kMaxDirectAlignment;  // of offset, length and address, for direct_fd
  std::string why_not_direct;                       // set when direct_fd is not valid
  FileIdentity identity;                            // when it was opened
};

// Failure: kNoInput, kOs; kBadData when the file does not have `expected_bytes` (it did when its
// header was read). A refusal of O_DIRECT is no failure.
Result<ModelFile> OpenModelFile(const std::string& path, uint64_t expected_bytes);

// kBadData when size, inode or time of modification are no longer what they were.
Status CheckUnchanged(const ModelFile& file);

}  // namespace llmrun
