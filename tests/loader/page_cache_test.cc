// Dropping a file from the page cache and reading it back in, on a file under the build directory:
// /tmp may be a tmpfs, of which nothing can be dropped.

#include "loader/io/page_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/units.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

constexpr uint64_t kFileBytes = 5 * kMiB + 4321;

class PageCache : public testing::Test {
 protected:
  PageCache()
      : path_(std::string(LLMRUN_BINARY_DIR) + "/page-cache-test-" + std::to_string(::getpid())) {
    EXPECT_TRUE(WriteFile(path_, std::vector<std::byte>(kFileBytes, std::byte{7})));
  }
  ~PageCache() override { std::filesystem::remove(path_); }

  bool OnTmpfs() const {
    struct statfs info = {};
    return ::statfs(path_.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
  }
  // The cached bytes now, which the owner is told.
  uint64_t Cached() const {
    const Result<FileCacheState> state = ReadCacheState(path_);
    EXPECT_TRUE(state) << state.error().OneLine();
    EXPECT_EQ(state->file_bytes, kFileBytes);
    return state->Cached().value();
  }

  const std::string path_;
};

TEST_F(PageCache, DropsAndWarms) {
  if (OnTmpfs()) GTEST_SKIP() << "the build directory is a tmpfs: nothing can be dropped of it";
  EXPECT_EQ(Cached(), kFileBytes);  // just written
  ASSERT_TRUE(DropFromCache(path_));
  EXPECT_LE(Cached(), kFileBytes / 100);
  ASSERT_TRUE(WarmCache(path_));
  EXPECT_EQ(Cached(), kFileBytes);
  ASSERT_TRUE(DropFromCache(path_));
  EXPECT_LE(Cached(), kFileBytes / 100);
}

TEST_F(PageCache, AnEmptyFileIsNoProblem) {
  ASSERT_TRUE(WriteFile(path_, {}));
  EXPECT_TRUE(DropFromCache(path_));
  EXPECT_TRUE(WarmCache(path_));
  const Result<FileCacheState> state = ReadCacheState(path_);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->file_bytes, 0U);
  EXPECT_EQ(state->cached_bytes, 0U);
}

TEST_F(PageCache, WhatIsNoFileIsNoInput) {
  for (const std::string& path : {path_ + "-missing", std::string(LLMRUN_BINARY_DIR)}) {
    const Status drop = DropFromCache(path);
    ASSERT_FALSE(drop);
    EXPECT_EQ(drop.error().code, ErrorCode::kNoInput);
    EXPECT_THAT(drop.error().message, HasSubstr(path));
    EXPECT_EQ(WarmCache(path).error().code, ErrorCode::kNoInput);
    EXPECT_EQ(ReadCacheState(path).error().code, ErrorCode::kNoInput);
  }
}

TEST(PageCacheState, SaysWhenTheKernelDoesNotTell) {
  const FileCacheState state{"a.gguf", 10, std::nullopt};
  const Result<uint64_t> cached = state.Cached();
  ASSERT_FALSE(cached);
  EXPECT_EQ(cached.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(cached.error().OneLine(), HasSubstr("a.gguf"));
  EXPECT_THAT(cached.error().OneLine(), HasSubstr("owner"));
}

}  // namespace
}  // namespace llmrun
