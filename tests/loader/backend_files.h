// What tests of reading backends read from and into.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "loader/io/model_file.h"
#include "loader/io/read_backend.h"
#include "tests/memory/temp_tree.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {

using Bytes = std::vector<std::byte>;

// Arbitrary, the same each time.
inline Bytes BytesOf(size_t n) {
  std::mt19937_64 random(n);
  Bytes bytes(n);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

// A file on disk, open both ways.
class OnDisk {
 public:
  explicit OnDisk(const Bytes& bytes) : path_(tree_.Path("weights")) {
    EXPECT_TRUE(WriteFile(path_, bytes));
    file_ = OpenModelFile(path_, bytes.size()).value();
  }
  const std::string& path() const { return path_; }
  const ModelFile& file() const { return file_; }
  std::vector<BackendFile> fds() const { return {{file_.fd.get(), file_.direct_fd.get()}}; }

 private:
  TempTree tree_;
  std::string path_;
  ModelFile file_;
};

// Memory aligned for O_DIRECT.
struct Aligned {
  explicit Aligned(size_t n)
      : bytes(n), data(static_cast<std::byte*>(std::aligned_alloc(4096, n))) {
    std::memset(data, 0, n);
  }
  ~Aligned() { std::free(data); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  size_t bytes;
  std::byte* data;
};

// Submits and reaps until all are done; results by tag.
inline std::map<uint64_t, int64_t> Carry(ReadBackend& backend,
                                         std::span<const ReadRequest> requests) {
  std::map<uint64_t, int64_t> results;
  size_t submitted = 0;
  while (results.size() < requests.size()) {
    submitted += backend.Submit(requests.subspan(submitted)).value();
    EXPECT_LE(submitted - results.size(), backend.Capacity());
    ReadCompletion completions[3];
    const size_t count = backend.Reap(completions).value();
    EXPECT_GT(count, 0U);
    for (size_t i = 0; i < count; ++i) results[completions[i].tag] = completions[i].result;
  }
  return results;
}

}  // namespace llmrun
