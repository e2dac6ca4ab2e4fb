// io_uring that polls: SQPOLL and IOPOLL, and what is said where they cannot be had.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/units.h"
#include "loader/io/create_backend.h"
#include "loader/io/poll_queues.h"
#include "loader/io/uring_backend.h"
#include "tests/loader/backend_files.h"
#include "tests/loader/restrict_thread.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kPieceBytes = 8192;

// The file in pieces, `direct` or not; every second one of both with nullopt.
std::vector<ReadRequest> PiecesOf(size_t bytes, std::byte* destination,
                                  std::optional<bool> direct) {
  std::vector<ReadRequest> requests;
  for (uint64_t i = 0; i * kPieceBytes < bytes; ++i) {
    requests.push_back({.tag = i,
                        .direct = direct.value_or(i % 2 == 0),
                        .offset = i * kPieceBytes,
                        .bytes = kPieceBytes,
                        .destination = destination + i * kPieceBytes});
  }
  return requests;
}

class EachPoll : public testing::TestWithParam<IoPoll> {};

TEST_P(EachPoll, ReadsWhatTheFileHas) {
  const Bytes content = BytesOf(300'001);
  const OnDisk disk(content);
  BackendChoice choice =
      CreateBackend(LoaderKind::kIoUring, disk.fds(), {.queue_depth = 5, .io_poll = GetParam()})
          .value();
  if (choice.io_poll != GetParam()) GTEST_SKIP() << choice.fallbacks.at(0).OneLine();
  EXPECT_THAT(choice.fallbacks, IsEmpty());
  EXPECT_EQ(choice.backend->Name(), "io_uring");
  Aligned memory(37 * kPieceBytes);
  const std::optional<bool> direct =
      disk.file().direct_fd.valid() ? std::nullopt : std::optional(false);
  const auto results = Carry(*choice.backend, PiecesOf(content.size(), memory.data, direct));
  for (const auto& [tag, result] : results) {
    EXPECT_EQ(result, tag == 36 ? 300'001 - 36 * 8192 : 8192) << tag;
  }
  EXPECT_EQ(std::memcmp(memory.data, content.data(), content.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(IoPoll, EachPoll,
                         testing::Values(IoPoll::kNone, IoPoll::kSqpoll, IoPoll::kIopoll),
                         [](const auto& param) { return std::string(NameOf(param.param)); });

// A ring for polled reads takes no others: those through the page cache are made without it.
TEST(UringIopoll, ReadsThroughThePageCache) {
  const Bytes content = BytesOf(300'001);
  const OnDisk disk(content);
  auto ring = UringBackend::Create(disk.fds(), 4, IoPoll::kIopoll);
  if (!ring) GTEST_SKIP() << std::strerror(ring.error());
  Aligned memory(37 * kPieceBytes);
  const auto results = Carry(**ring, PiecesOf(content.size(), memory.data, false));
  EXPECT_EQ(results.size(), 37U);
  EXPECT_EQ(std::memcmp(memory.data, content.data(), content.size()), 0);
  const std::vector<BackendFile> closed = {{-1, -1}};
  auto broken = UringBackend::Create(closed, 4, IoPoll::kIopoll).value();
  const std::vector<ReadRequest> one = {{.tag = 7, .bytes = 1, .destination = memory.data}};
  EXPECT_EQ(Carry(*broken, one), (std::map<uint64_t, int64_t>{{7, -EBADF}}));
}

TEST(CreateBackend, PollingOfNoDirectFileIsIoUringWithAReason) {
  const OnDisk disk(BytesOf(5000));
  const std::vector<BackendFile> buffered = {{disk.file().fd.get(), -1}};
  const BackendChoice choice =
      CreateBackend(LoaderKind::kIoUring, buffered, {.io_poll = IoPoll::kIopoll}).value();
  if (choice.backend->Name() != "io_uring") GTEST_SKIP() << choice.fallbacks.at(0).OneLine();
  EXPECT_EQ(choice.io_poll, IoPoll::kNone);
  ASSERT_EQ(choice.fallbacks.size(), 1U);
  EXPECT_EQ(choice.fallbacks[0].wanted, "io_uring with iopoll");
  EXPECT_EQ(choice.fallbacks[0].got, "io_uring");
  EXPECT_EQ(choice.fallbacks[0].why, "only direct I/O can be polled");
  EXPECT_THAT(choice.fallbacks[0].fix, HasSubstr("nvme.poll_queues="));
}

// Without io_uring nothing polls; one line says so, not two.
TEST(CreateBackend, RefusedUringIsTheOnlyReason) {
  const OnDisk disk(BytesOf(5000));
  bool restricted = false;
  std::vector<Fallback> fallbacks;
  std::thread([&] {
    restricted = RefuseSyscall(SYS_io_uring_setup, EPERM);
    if (!restricted) return;
    fallbacks = CreateBackend(LoaderKind::kIoUring, disk.fds(), {.io_poll = IoPoll::kSqpoll})
                    .value()
                    .fallbacks;
  }).join();
  if (!restricted) GTEST_SKIP() << "no seccomp filters here";
  ASSERT_EQ(fallbacks.size(), 1U);
  EXPECT_EQ(fallbacks[0].got, "read");
}

// The kernel would not poll for a read that it splits: a long one is read in part.
TEST(UringBackend, ReadsNoMoreAtOnceThanItMay) {
  const Bytes content = BytesOf(300'001);
  const OnDisk disk(content);
  auto ring = UringBackend::Create(disk.fds(), 4, IoPoll::kNone, 2 * kPieceBytes);
  if (!ring) GTEST_SKIP() << std::strerror(ring.error());
  Aligned memory(8 * kPieceBytes);
  std::memset(memory.data, 0x5A, 8 * kPieceBytes);
  const std::vector<ReadRequest> requests = {
      {.tag = 1, .bytes = 2 * kPieceBytes, .destination = memory.data},
      {.tag = 2,
       .offset = 512,
       .bytes = 5 * kPieceBytes,
       .destination = memory.data + 2 * kPieceBytes}};
  EXPECT_EQ(Carry(**ring, requests),
            (std::map<uint64_t, int64_t>{{1, 2 * kPieceBytes}, {2, 2 * kPieceBytes}}));
  EXPECT_EQ(std::memcmp(memory.data, content.data(), 2 * kPieceBytes), 0);
  EXPECT_EQ(std::memcmp(memory.data + 2 * kPieceBytes, content.data() + 512, 2 * kPieceBytes), 0);
  EXPECT_EQ(memory.data[4 * kPieceBytes], std::byte{0x5A});
}

TEST(PollQueuesOf, AsSysfsSays) {
  const OnDisk disk(BytesOf(100));
  struct stat status = {};
  ASSERT_EQ(::fstat(disk.file().fd.get(), &status), 0);
  const std::string device = fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
  const TempTree sys;
  const auto found = [&] { return PollQueuesOf(disk.file().fd.get(), sys.root()); };
  const auto why = [&] { return found().why_not; };
  EXPECT_EQ(PollQueuesOf(-1, sys.root()).why_not, "only direct I/O can be polled");
  EXPECT_EQ(why(), "") << "a device that does not tell";
  sys.Write("devices/nvme0n1/nvme0n1p1/partition", "1\n");
  sys.Write("devices/nvme0n1/queue/io_poll", "0\n");
  std::filesystem::create_directories(sys.Path("dev/block"));
  std::filesystem::create_symlink("../../devices/nvme0n1/nvme0n1p1",
                                  sys.Path("dev/block/" + device));
  EXPECT_EQ(why(), "nvme0n1 has no poll queues");
  sys.Write("devices/nvme0n1/queue/io_poll", "1\n");
  EXPECT_EQ(why(), "");
  EXPECT_EQ(found().most_bytes, 128U << 10) << "a device that does not tell";
  sys.Write("devices/nvme0n1/queue/max_sectors_kb", "512\n");
  sys.Write("devices/nvme0n1/queue/max_segments", "127\n");
  EXPECT_EQ(found().most_bytes, 126U * 4096) << "each page may be a segment of its own";
  sys.Write("devices/nvme0n1/queue/max_segments", "1024\n");
  EXPECT_EQ(found().most_bytes, 512U << 10);
  sys.Write("devices/nvme0n1/queue/chunk_sectors", "256\n");
  EXPECT_EQ(why(), "nvme0n1 has boundaries that reads are split at");
}

}  // namespace
}  // namespace llmrun
