#include "loader/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "base/units.h"
#include "loader/gguf/gguf_writer.h"
#include "loader/open_model.h"
#include "tests/loader/restrict_thread.h"
#include "tests/loader/weights_support.h"
#include "tests/memory/hugepool_lock.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

constexpr LoaderKind kLoaders[] = {LoaderKind::kMmap, LoaderKind::kRead, LoaderKind::kIoUring,
                                   LoaderKind::kSplice, LoaderKind::kAuto};
constexpr HugePages kPages[] = {HugePages::kOff, HugePages::kThp, HugePages::k2M, HugePages::k1G,
                                HugePages::kAuto};

TEST(Weights, EveryLoaderAndPageKindBringsTheSameBytes) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  ASSERT_GT(index.total_bytes(), 4 * kMiB);
  const uint64_t expected = HashOfFiles(index);
  for (const LoaderKind loader : kLoaders) {
    for (const HugePages pages : kPages) {
      SCOPED_TRACE(fmt::format("{} {}", NameOf(loader), NameOf(pages)));
      // Small chunks and a queue that fills up.
      const auto report = LoadAll(
          index, {.loader = loader, .hugepages = pages, .queue_depth = 3, .chunk_bytes = 200'000});
      ASSERT_TRUE(report) << report.error().OneLine();
      EXPECT_EQ(report->xxh3, expected);
      EXPECT_TRUE(report->hashed);
      EXPECT_EQ(report->requested, NameOf(loader));
      EXPECT_EQ(report->hugepages_requested, NameOf(pages));
      EXPECT_EQ(report->read_bytes, index.total_bytes());
      EXPECT_EQ(report->residency.bytes_absent, 0U);
      EXPECT_GT(report->seconds, 0.0);
      EXPECT_GT(report->time_to_first_layer_seconds, 0.0);
      EXPECT_LE(report->time_to_first_layer_seconds, report->seconds);
      if (report->loader == "mmap") {
        EXPECT_EQ(report->copies, 0.0);
      } else if (report->loader == "read" || report->loader == "splice") {
        EXPECT_EQ(report->copies, 1.0);
      }
      if (loader != LoaderKind::kAuto && report->loader != NameOf(loader)) {
        EXPECT_EQ(report->loader, "read");  // io_uring is not to be had here
        EXPECT_THAT(report->fallbacks,
                    testing::Contains(testing::Field(&Fallback::wanted, "io_uring")));
      }
    }
  }
}

TEST(Weights, DirectReadsCopyNothing) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const auto report = LoadAll(index, {.loader = LoaderKind::kIoUring});
  ASSERT_TRUE(report) << report.error().OneLine();
  if (!report->fallbacks.empty()) GTEST_SKIP() << report->fallbacks.front().OneLine();
  EXPECT_EQ(report->copies, 0.0);
  EXPECT_EQ(report->loader, "io_uring");
}

void LoadIntoHugePages(PageKind kind, HugePages pages, uint64_t page_count) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const uint64_t expected = HashOfFiles(index);
  const HugePoolLease pool(kind, page_count);
  if (!pool.why_not().empty()) GTEST_SKIP() << pool.why_not();
  for (const LoaderKind loader :
       {LoaderKind::kRead, LoaderKind::kIoUring, LoaderKind::kSplice, LoaderKind::kAuto}) {
    SCOPED_TRACE(NameOf(loader));
    const auto report =
        LoadAll(index, {.loader = loader, .hugepages = pages, .policy = HugePagesPolicy::kRequire});
    ASSERT_TRUE(report) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, expected);
    const Residency& got = report->residency;
    EXPECT_EQ(kind == PageKind::k2M ? got.bytes_2m : got.bytes_1g, page_count * PageBytes(kind));
    EXPECT_EQ(got.bytes_4k + got.bytes_thp, 0U);
  }
}

TEST(WeightsHugetlb, Required2MPages) { LoadIntoHugePages(PageKind::k2M, HugePages::k2M, 3); }
TEST(WeightsHugetlb, Required1GPages) { LoadIntoHugePages(PageKind::k1G, HugePages::k1G, 1); }

TEST(Weights, HashIsTheSameForAnyNumberOfThreads) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const auto weights = StartLoad(index, ThisMachine(), {.loader = LoaderKind::kRead}).value();
  ASSERT_TRUE(weights->Finish());
  const uint64_t expected = HashOfFiles(index);
  for (const int threads : {1, 2, 3, 8}) EXPECT_EQ(HashAll(*weights, threads), expected);
}

TEST(Weights, FinishGivesTheSameReportAgainAndViewsOutliveIt) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const auto weights =
      StartLoad(index, ThisMachine(), {.loader = LoaderKind::kRead, .mlock = true}).value();
  const auto first = weights->Finish();
  ASSERT_TRUE(first) << first.error().OneLine();
  const auto second = weights->Finish();
  ASSERT_TRUE(second);
  EXPECT_EQ(first->seconds, second->seconds);
  EXPECT_FALSE(first->hashed);
  const TensorId id = index.Find("token_embd.weight").value();
  const TensorView view = weights->View(id);
  EXPECT_EQ(view.bytes, index.at(id).extent.bytes);
  EXPECT_EQ(view.dims, index.at(id).dims);
  EXPECT_EQ(view.dtype, index.at(id).dtype);
}

// Tensors at odd offsets (only aligned to 8), one of them of 4 bytes, in a file below 4096 bytes.
TEST(Weights, SmallFilesAndOddOffsets) {
  const TempTree tree;
  GgufWriter writer(8);
  for (const uint64_t elems : {3, 1, 700, 2}) {
    ASSERT_TRUE(writer.AddTensor(fmt::format("blk.0.t{}", elems), DType::kF32, {elems}));
  }
  std::vector<std::byte> bytes = writer.Header();
  const size_t header_bytes = bytes.size();
  bytes.resize(header_bytes + writer.DataBytes());
  for (size_t i = header_bytes; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  ASSERT_LT(bytes.size(), 4096U);
  const std::string path = tree.Path("small.gguf");
  ASSERT_TRUE(WriteFile(path, bytes));
  const TensorIndex index = OpenModel(path).value();
  EXPECT_NE(index.at(TensorId{1}).extent.offset % 32, 0U);
  for (const LoaderKind loader : kLoaders) {
    const auto report = LoadAll(index, {.loader = loader});
    ASSERT_TRUE(report) << NameOf(loader) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, HashOfFiles(index)) << NameOf(loader);
  }
}

TEST(Weights, ModelWithoutTensors) {
  const TempTree tree;
  ASSERT_TRUE(WriteFile(tree.Path("empty.gguf"), GgufWriter().Header()));
  const TensorIndex index = OpenModel(tree.Path("empty.gguf")).value();
  for (const LoaderKind loader : kLoaders) {
    const auto report = LoadAll(index, {.loader = loader});
    ASSERT_TRUE(report) << NameOf(loader) << report.error().OneLine();
    EXPECT_EQ(report->read_bytes, 0U);
  }
}

TEST(Weights, SplitModels) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteSplitModel(tree, 2)).value();
  ASSERT_EQ(index.files().size(), 2U);
  for (const LoaderKind loader : kLoaders) {
    const auto report = LoadAll(index, {.loader = loader});
    ASSERT_TRUE(report) << NameOf(loader) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, HashOfFiles(index)) << NameOf(loader);
  }
}

TEST(Weights, FileThatBecameShorterBeforeTheLoadIsNamed) {
  const TempTree tree;
  const std::string path = WriteModel(tree);
  const TensorIndex index = OpenModel(path).value();
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(index.files()[0].file_bytes - 1)), 0);
  for (const LoaderKind loader : kLoaders) {
    const auto weights = StartLoad(index, ThisMachine(), {.loader = loader});
    ASSERT_FALSE(weights);
    EXPECT_EQ(weights.error().code, ErrorCode::kBadData);
    EXPECT_THAT(weights.error().message, HasSubstr(path));
  }
}

// Refused before a byte was read, not after the last one.
TEST(Weights, MlockBeyondTheLimitIsRefusedUpFront) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  rlimit old_limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 64 * kKiB;
  ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  std::vector<Error> errors;
  bool dropped = false;
  std::thread([&] {
    dropped = DropCapability(CAP_IPC_LOCK);
    for (const LoaderKind loader : {LoaderKind::kRead, LoaderKind::kMmap}) {
      const auto weights = StartLoad(
          index, ThisMachine(), {.loader = loader, .hugepages = HugePages::kOff, .mlock = true});
      if (!weights) errors.push_back(weights.error());
    }
  }).join();
  setrlimit(RLIMIT_MEMLOCK, &old_limit);
  ASSERT_TRUE(dropped);
  ASSERT_EQ(errors.size(), 2U);
  for (const Error& error : errors) {
    EXPECT_EQ(error.code, ErrorCode::kResource);
    EXPECT_THAT(error.message, HasSubstr("RLIMIT_MEMLOCK allows 64.0 KiB"));
    EXPECT_THAT(error.fix, HasSubstr("ulimit -l unlimited"));
  }
}

// Without io_uring, all the way: the report says what was used instead.
TEST(Weights, RefusedUringIsInTheReport) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  std::optional<Result<LoadReport>> report;
  std::thread([&] {
    if (!RefuseSyscall(SYS_io_uring_setup, EPERM)) return;
    report = LoadAll(index, {.loader = LoaderKind::kIoUring});
  }).join();
  if (!report) GTEST_SKIP() << "no seccomp filters here";
  ASSERT_TRUE(*report) << report->error().OneLine();
  EXPECT_EQ((*report)->loader, "read");
  EXPECT_EQ((*report)->copies, 1.0);
  EXPECT_EQ((*report)->xxh3, HashOfFiles(index));
  EXPECT_THAT((*report)->fallbacks, testing::Contains(testing::Field(&Fallback::got, "read")));
}

// tmpfs refuses O_DIRECT before Linux 6.6; either way the bytes arrive and the report agrees.
TEST(Weights, FilesInTmpfs) {
  const std::string path = fmt::format("/dev/shm/llmrun-weights-test-{}.gguf", ::getpid());
  if (!WriteFile(path, BuildTinyLlama({}))) GTEST_SKIP() << "no /dev/shm";
  const TensorIndex index = OpenModel(path).value();
  const auto report = LoadAll(index, {.loader = LoaderKind::kIoUring});
  const uint64_t expected = HashOfFiles(index);
  ::unlink(path.c_str());
  ASSERT_TRUE(report) << report.error().OneLine();
  EXPECT_EQ(report->xxh3, expected);
  EXPECT_EQ(report->copies == 0.0, report->fallbacks.empty());
}

TEST(Weights, OptionsOutOfRangeAreUsageErrors) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  EXPECT_EQ(StartLoad(index, ThisMachine(), {.queue_depth = 0}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(StartLoad(index, ThisMachine(), {.numa = BindTo(999)}).error().code, ErrorCode::kUsage);
}

TEST(Weights, BoundToANode) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const unsigned node = ThisMachine().nodes.front().os_index;
  for (const LoaderKind loader : kLoaders) {
    const auto report = LoadAll(index, {.loader = loader, .numa = BindTo(node)});
    ASSERT_TRUE(report) << NameOf(loader) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, HashOfFiles(index)) << NameOf(loader);
    if (loader != LoaderKind::kMmap && !report->residency.node_bytes.empty()) {
      EXPECT_EQ(report->residency.node_bytes.at(static_cast<int>(node)),
                report->residency.bytes_4k + report->residency.bytes_thp +
                    report->residency.bytes_2m + report->residency.bytes_1g);
    }
  }
}

TEST(HashTensor, OfPiecesIsThatOfTheWhole) {
  std::vector<std::byte> bytes(12 * 1024);
  std::mt19937 random(3);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  const auto rows = [&](uint64_t begin, uint64_t end) {
    return TensorPiece{.row_begin = begin,
                       .view = {.n_dims = 2,
                                .dims = {256, end - begin, 1, 1},
                                .data = bytes.data() + begin * 1024,
                                .bytes = (end - begin) * 1024},
                       .node = static_cast<unsigned>(begin)};
  };
  const TensorPiece whole = rows(0, 12);
  const uint64_t expected = HashTensor(whole.view);
  const std::vector<TensorPiece> sharded = {rows(0, 5), rows(5, 6), rows(6, 12)};
  EXPECT_EQ(HashTensor(sharded), expected);
  const std::vector<TensorPiece> mirrored = {whole, whole, whole};
  EXPECT_EQ(HashTensor(mirrored), expected);
}

TEST(LoadReport, RemoteFraction) {
  LoadReport report;
  EXPECT_EQ(report.RemoteFraction(), 0.0);
  report.residency.node_bytes = {{0, 300}, {1, 100}};
  EXPECT_EQ(report.RemoteFraction(), 0.0);
  report.remote_bytes = 100;
  EXPECT_EQ(report.RemoteFraction(), 0.25);
}

}  // namespace
}  // namespace llmrun
