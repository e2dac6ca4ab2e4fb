// `llm-run cache`: see, warm and drop, on files under the build directory (/tmp may be a tmpfs).

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "base/units.h"
#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kPartBytes = kMiB + 100;

// A file mapped with all of its pages; locked, the kernel drops none, however short of memory it
// is.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    map_ = ::mmap(nullptr, kPartBytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
    EXPECT_NE(map_, MAP_FAILED);
  }
  ~MappedFile() { ::munmap(map_, kPartBytes); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  void Lock() { EXPECT_EQ(::mlock(map_, kPartBytes), 0); }

 private:
  void* map_ = nullptr;
};

class CliCache : public testing::Test {
 protected:
  CliCache()
      : stem_(std::string(LLMRUN_BINARY_DIR) + "/cli-cache-test-" + std::to_string(::getpid())) {
    for (const std::string& path : {Part(1), Part(2)}) {
      EXPECT_TRUE(WriteFile(path, std::vector<std::byte>(kPartBytes, std::byte{1})));
    }
  }
  ~CliCache() override {
    for (const std::string& path : {Part(1), Part(2)}) std::filesystem::remove(path);
  }
  void SetUp() override {
    struct statfs info = {};
    if (::statfs(Part(1).c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC) {
      GTEST_SKIP() << "the build directory is a tmpfs: nothing can be dropped of it";
    }
  }

  std::string Part(int i) const { return stem_ + "-0000" + std::to_string(i) + "-of-00002.gguf"; }

  nlohmann::json Run(const std::string& act, const std::vector<std::string>& files) {
    std::vector<std::string> args = {"cache", act, "--json"};
    args.insert(args.end(), files.begin(), files.end());
    const ProcessResult result = Llm(args);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    err_ = result.err;
    nlohmann::json json = nlohmann::json::parse(result.out, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << result.out;
    return json;
  }

  const std::string stem_;
  std::string err_;
};

TEST_F(CliCache, TakesEveryPartOfASplitModel) {
  const nlohmann::json dropped = Run("drop", {Part(2)});
  ASSERT_EQ(dropped["files"].size(), 2U);
  EXPECT_EQ(dropped["files"][0]["path"], Part(1));
  EXPECT_EQ(dropped["total"]["file_bytes"], 2 * kPartBytes);
  EXPECT_EQ(dropped["total"]["cached_bytes"], 0);
  EXPECT_THAT(err_, Not(HasSubstr("note")));

  const nlohmann::json warm = Run("warm", {"-m", Part(1)});
  EXPECT_EQ(warm["read_bytes"], 2 * kPartBytes);
  EXPECT_EQ(warm["total"]["cached_bytes"], 2 * kPartBytes);
  EXPECT_THAT(err_, HasSubstr("B/s"));

  MappedFile first(Part(1));
  MappedFile second(Part(2));
  first.Lock();
  second.Lock();
  const nlohmann::json status = Run("status", {Part(1), Part(2), Part(1)});
  ASSERT_EQ(status["files"].size(), 2U);
  EXPECT_EQ(status["files"][1]["cached_bytes"], kPartBytes);
  EXPECT_EQ(status["files"][1]["percent"], 100);
  EXPECT_EQ(status["total"]["percent"], 100);
}

TEST_F(CliCache, LookingBringsNothingIn) {
  Run("drop", {Part(1)});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Run("status", {Part(1)})["total"]["cached_bytes"], 0);
}

TEST_F(CliCache, StatusIsATableWithATotal) {
  MappedFile first(Part(1));
  MappedFile second(Part(2));
  first.Lock();
  second.Lock();
  const ProcessResult result = Llm({"cache", "status", Part(1)});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(Part(2)));
  EXPECT_THAT(result.out, HasSubstr("2.0 MiB  2.0 MiB  100.0%  total\n"));
}

TEST_F(CliCache, SaysWhatStaysBecauseItIsMapped) {
  const MappedFile mapped(Part(1));
  const nlohmann::json dropped = Run("drop", {Part(1)});
  EXPECT_EQ(dropped["files"][0]["cached_bytes"], kPartBytes);
  EXPECT_EQ(dropped["files"][1]["cached_bytes"], 0);
  EXPECT_THAT(err_, HasSubstr("mapped"));
  EXPECT_THAT(err_, HasSubstr("fix: "));
  EXPECT_EQ(std::ranges::count(err_, '\n'), 1) << err_;
}

TEST_F(CliCache, TellsWhoMayNotAsk) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const std::string path = TempPath("of-root.bin");
  ASSERT_TRUE(WriteFile(path, std::vector<std::byte>(kPartBytes)));
  for (const char* act : {"status", "warm", "drop"}) {
    ProcessOptions options;
    options.args = {kBinary, "cache", act, path};
    options.uid = 65534;
    const ProcessResult result = RunProcess(options);
    if (result.exit_code == 127 || result.exit_code == -1) {
      GTEST_SKIP() << "another user cannot run the binary here";
    }
    if (std::string(act) == "status") {
      ExpectError(result, 69, "only the owner");
      continue;
    }
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("only the owner"));
    EXPECT_THAT(result.out, HasSubstr("not told"));
  }
}

TEST_F(CliCache, RefusesWhatIsLargerThanTheMemory) {
  const std::string path = stem_ + "-huge";
  {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(::ftruncate(fd.get(), int64_t{1} << 43), 0);  // a hole of 8 TiB
  }
  ExpectError(Llm({"cache", "warm", path}), 75, "8192.00 GiB");
  std::filesystem::remove(path);
}

TEST_F(CliCache, RefusesWhatIsNotThere) {
  ExpectError(Llm({"cache", "status", stem_ + "-none"}), 66, stem_ + "-none");
  ExpectError(Llm({"cache", "drop", Part(1), stem_}), 66, stem_);
  ExpectError(Llm({"cache"}), 64, "subcommand");
}

}  // namespace
}  // namespace llmrun
