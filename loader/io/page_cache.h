// Files and the page cache: what of a file it holds, dropping that, and bringing a file in.
//
// Threads: Thread-safe; WarmCache() reads with threads of its own, which are gone when it returns.
// Failure: kNoInput for what is not there or is not a regular file, kOs when the device fails.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "memory/node_set.h"
#include "memory/residency.h"

namespace llmrun {

struct FileCacheState {
  std::string path;
  uint64_t file_bytes = 0;
  std::optional<uint64_t> cached_bytes;  // as CachedBytes() (memory/residency.h)

  // cached_bytes; kUnavailable, in words for the user, where the kernel does not tell.
  Result<uint64_t> Cached() const;
};

// Reads no byte of the file.
Result<FileCacheState> ReadCacheState(const std::string& path);

// Writes changes back, then drops the file's pages. Pages that a process has mapped or locked stay,
// and so does a file in tmpfs, which lies nowhere else: that is no failure here.
Status DropFromCache(const std::string& path);

// Reads the whole file through the page cache, several requests at a time. Whether it stays there
// is up to the kernel. With `nodes` what is read in goes there (SetThreadNodes); what was cached
// before stays where it is. kBadData when the file becomes shorter meanwhile.
Status WarmCache(const std::string& path, const NodeSet& nodes = {});

// Where a file's pages lie, by node. Brings in what is not cached.
Result<Residency> PlaceOfCache(const std::string& path);

}  // namespace llmrun
