#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include "base/units.h"
#include "loader/io/create_backend.h"
#include "loader/io/model_file.h"
#include "loader/io/thread_backend.h"
#include "loader/io/uring_backend.h"
#include "tests/loader/backend_files.h"
#include "tests/loader/restrict_thread.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
class EachBackend : public testing::TestWithParam<LoaderKind> {
 protected:
  static BackendChoice Create(std::span<const BackendFile> files, const BackendOptions& options) {
    return CreateBackend(GetParam(), files, options).value();
  }
};

TEST_P(EachBackend, ReadsWhatTheFileHas) {
  const Bytes content = BytesOf(300'001);
  const OnDisk disk(content);
  BackendChoice choice = Create(disk.fds(), {.threads = 2, .queue_depth = 5});
  if (choice.backend->Name() != NameOf(GetParam())) {
    GTEST_SKIP() << choice.fallbacks.at(0).OneLine();
  }
  const bool direct = choice.direct && disk.file().direct_fd.valid();
  Aligned memory(40 * 8192);
  std::vector<ReadRequest> requests;
  for (uint64_t i = 0; i < 37; ++i) {
    requests.push_back({.tag = 1000 + i,
                        .direct = direct,
                        .offset = i * 8192,
                        .bytes = 8192,
                        .destination = memory.data + i * 8192});
  }
  const std::map<uint64_t, int64_t> results = Carry(*choice.backend, requests);
  for (const auto& [tag, result] : results) {
    EXPECT_EQ(result, tag == 1036 ? 300'001 - 36 * 8192 : 8192) << tag;
  }
  EXPECT_EQ(std::memcmp(memory.data, content.data(), content.size()), 0);
}

TEST_P(EachBackend, EndOfFileIsZeroAndErrorsAreCompletions) {
  const OnDisk disk(BytesOf(5000));
  BackendChoice choice = Create(disk.fds(), {.queue_depth = 2});
  Aligned memory(8192);
  const std::vector<ReadRequest> requests = {
      {.tag = 1, .offset = 8192, .bytes = 4096, .destination = memory.data},
      {.tag = 2, .offset = 4999, .bytes = 4096, .destination = memory.data},
  };
  const std::map<uint64_t, int64_t> results = Carry(*choice.backend, requests);
  EXPECT_EQ(results.at(1), 0);
  EXPECT_EQ(results.at(2), 1);

  const std::vector<BackendFile> closed = {{-1, -1}};
  BackendChoice broken = Create(closed, {.queue_depth = 2});
  EXPECT_EQ(Carry(*broken.backend, requests),
            (std::map<uint64_t, int64_t>{{1, -EBADF}, {2, -EBADF}}));
}

TEST_P(EachBackend, LargeRequestAtOddOffset) {
  const Bytes content = BytesOf(3 * kMiB + 77);
  const OnDisk disk(content);
  BackendChoice choice = Create(disk.fds(), {});
  Bytes memory(content.size());
  uint64_t done = 13;
  while (done < content.size()) {
    const std::vector<ReadRequest> rest = {
        {.offset = done, .bytes = content.size() - done, .destination = memory.data() + done}};
    const int64_t n = Carry(*choice.backend, rest).at(0);
    ASSERT_GT(n, 0);
    done += static_cast<uint64_t>(n);
  }
  EXPECT_EQ(std::memcmp(memory.data() + 13, content.data() + 13, content.size() - 13), 0);
}

TEST_P(EachBackend, DestructionWaitsForWhatIsInFlight) {
  const OnDisk disk(BytesOf(kMiB));
  Aligned memory(kMiB);
  BackendChoice choice = Create(disk.fds(), {.threads = 2, .queue_depth = 8});
  std::vector<ReadRequest> requests;
  for (uint64_t i = 0; i < 4; ++i) {
    requests.push_back({.tag = i,
                        .offset = i * 256 * kKiB,
                        .bytes = 256 * kKiB,
                        .destination = memory.data + i * 256 * kKiB});
  }
  EXPECT_GT(choice.backend->Submit(requests).value(), 0U);
  choice.backend.reset();
  std::memset(memory.data, 0x5a, memory.bytes);
  EXPECT_EQ(std::count(memory.data, memory.data + memory.bytes, std::byte{0x5a}),
            static_cast<std::ptrdiff_t>(memory.bytes));
}

INSTANTIATE_TEST_SUITE_P(Loaders, EachBackend,
                         testing::Values(LoaderKind::kRead, LoaderKind::kIoUring,
                                         LoaderKind::kSplice),
                         [](const auto& param) { return std::string(NameOf(param.param)); });

// io_uring refused as containers refuse it: `read` instead, and one line that says who and what to
// do.
TEST(CreateBackend, RefusedUringBecomesReadWithAReason) {
  const struct {
    int error;
    const char* why;
    const char* fix;
  } cases[] = {{EPERM, "seccomp profile", "seccomp profile that allows io_uring"},
               {ENOSYS, "has no io_uring", "Linux 5.15 or later"},
               {ENOMEM, "no memory for the ring", "ulimit -l unlimited"},
               {EMFILE, "Too many open files", "ulimit -n"}};
  const Bytes content = BytesOf(10'000);
  const OnDisk disk(content);
  for (const auto& expected : cases) {
    bool restricted = false;
    std::string name;
    std::vector<Fallback> fallbacks;
    int64_t result = 0;
    Bytes memory(content.size());
    std::thread([&] {
      restricted = RefuseSyscall(SYS_io_uring_setup, expected.error);
      if (!restricted) return;
      const std::vector<BackendFile> fds = disk.fds();
      const BackendChoice choice = CreateBackend(LoaderKind::kIoUring, fds, {}).value();
      name = choice.backend->Name();
      fallbacks = choice.fallbacks;
      const std::vector<ReadRequest> all = {{.bytes = memory.size(), .destination = memory.data()}};
      result = Carry(*choice.backend, all).at(0);
    }).join();
    if (!restricted) GTEST_SKIP() << "no seccomp filters here";
    EXPECT_EQ(name, "read");
    ASSERT_EQ(fallbacks.size(), 1U);
    EXPECT_EQ(fallbacks[0].wanted, "io_uring");
    EXPECT_EQ(fallbacks[0].got, "read");
    EXPECT_THAT(fallbacks[0].why, HasSubstr(expected.why));
    EXPECT_THAT(fallbacks[0].fix, HasSubstr(expected.fix));
    EXPECT_EQ(result, static_cast<int64_t>(content.size()));
    EXPECT_EQ(memory, content);
  }
}

// Registering files is refused: the ring goes on with plain descriptors.
TEST(UringBackend, WorksWithoutRegisteredFiles) {
  const Bytes content = BytesOf(10'000);
  const OnDisk disk(content);
  bool usable = false;
  Bytes memory(content.size());
  std::thread([&] {
    if (!RefuseSyscall(SYS_io_uring_register, ENOMEM)) return;
    auto ring = UringBackend::Create(disk.fds(), 4, IoPoll::kNone);
    if (!ring) return;
    usable = true;
    const std::vector<ReadRequest> all = {{.bytes = memory.size(), .destination = memory.data()}};
    EXPECT_EQ(Carry(**ring, all).at(0), static_cast<int64_t>(content.size()));
  }).join();
  if (!usable) GTEST_SKIP() << "no io_uring or no seccomp filters here";
  EXPECT_EQ(memory, content);
}

// The kernel maps a new ring where an ended one lay. Nothing but that orders the two threads here;
// ThreadSanitizer must not call it a race.
TEST(UringBackend, RingsOfTwoThreadsMayFollowAtOneAddress) {
  const Bytes content = BytesOf(10'000);
  const OnDisk disk(content);
  const auto read_all = [&] {
    Bytes memory(content.size());
    const std::vector<ReadRequest> all = {{.bytes = memory.size(), .destination = memory.data()}};
    BackendChoice choice = CreateBackend(LoaderKind::kIoUring, disk.fds(), {}).value();
    EXPECT_EQ(Carry(*choice.backend, all).at(0), static_cast<int64_t>(content.size()));
    choice.backend.reset();
    EXPECT_EQ(memory, content);
  };
  std::atomic<bool> first_ended = false;
  std::thread first([&] {
    read_all();
    first_ended.store(true, std::memory_order_relaxed);
  });
  while (!first_ended.load(std::memory_order_relaxed)) std::this_thread::yield();
  read_all();
  first.join();
}

TEST(OpenModelFile, KnowsDirectIoAndChanges) {
  const OnDisk disk(BytesOf(4096));
  if (disk.file().direct_fd.valid()) {
    EXPECT_THAT(disk.file().why_not_direct, IsEmpty());
    EXPECT_GE(disk.file().direct_alignment, 1U);
    EXPECT_LE(disk.file().direct_alignment, kMaxDirectAlignment);
    EXPECT_NE(::fcntl(disk.file().direct_fd.get(), F_GETFL) & O_DIRECT, 0);
  } else {
    EXPECT_FALSE(disk.file().why_not_direct.empty());
  }
  EXPECT_TRUE(CheckUnchanged(disk.file()));

  ASSERT_EQ(::truncate(disk.path().c_str(), 4000), 0);
  const Status shorter = CheckUnchanged(disk.file());
  ASSERT_FALSE(shorter);
  EXPECT_EQ(shorter.error().code, ErrorCode::kBadData);
  EXPECT_EQ(shorter.error().message,
            disk.path() + ": changed while loading: expected 4096 bytes, found 4000");

  const auto reopened = OpenModelFile(disk.path(), 4096);
  ASSERT_FALSE(reopened);
  EXPECT_EQ(reopened.error().code, ErrorCode::kBadData);
  EXPECT_EQ(OpenModelFile(disk.path() + ".none", 1).error().code, ErrorCode::kNoInput);
}

TEST(OpenModelFile, RewrittenFileOfTheSameSizeIsNoticed) {
  const OnDisk disk(BytesOf(4096));
  timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 2, .tv_nsec = 3}};
  ASSERT_EQ(::utimensat(AT_FDCWD, disk.path().c_str(), times, 0), 0);
  EXPECT_THAT(CheckUnchanged(disk.file()).error().message, HasSubstr("it was written to"));
}

}  // namespace
}  // namespace llmrun
