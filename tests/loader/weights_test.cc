#include "loader/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/units.h"
#include "loader/gguf/gguf_writer.h"
#include "loader/open_model.h"
#include "loader/plan/read_plan.h"
#include "loader/weights_internal.h"
#include "sched/latch.h"
#include "tests/loader/restrict_thread.h"
#include "tests/memory/hugepool_lock.h"
#include "tests/memory/temp_tree.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Machine& ThisMachine() {
  static const Machine machine = DetectMachine().value();
  return machine;
}

// The hash that HashAll() must give, from the file by plain reads.
uint64_t HashOfFiles(const TensorIndex& index) {
  std::vector<uint64_t> hashes;
  for (const IndexedTensor& tensor : index.tensors()) {
    std::ifstream file(index.files()[tensor.extent.file].label, std::ios::binary);
    std::string bytes(tensor.extent.bytes, '\0');
    file.seekg(static_cast<std::streamoff>(tensor.extent.offset));
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    EXPECT_TRUE(file.good());
    hashes.push_back(XXH3_64bits(bytes.data(), bytes.size()));
  }
  return XXH3_64bits(hashes.data(), hashes.size() * sizeof(uint64_t));
}

// About 5 MB, so that 2M pages, their remainder and several chunks all occur.
std::string WriteModel(const TempTree& tree) {
  const std::string path = tree.Path("model.gguf");
  EXPECT_TRUE(WriteFile(path, BuildTinyLlama({.d_model = 192,
                                              .n_layers = 3,
                                              .n_heads = 4,
                                              .n_kv_heads = 2,
                                              .d_ff = 512,
                                              .n_vocab = 320})));
  return path;
}

Result<LoadReport> LoadAll(const TensorIndex& index, LoadOptions options) {
  options.hash = true;
  ASSIGN_OR_RETURN(const auto weights, StartLoad(index, ThisMachine(), options));
  return weights->Finish();
}

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

TEST(Weights, Required2MPages) { LoadIntoHugePages(PageKind::k2M, HugePages::k2M, 3); }
TEST(Weights, Required1GPages) { LoadIntoHugePages(PageKind::k1G, HugePages::k1G, 1); }

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
  for (uint32_t part = 0; part < 2; ++part) {
    GgufWriter writer;
    writer.AddUint32("split.no", part);
    writer.AddUint32("split.count", 2);
    ASSERT_TRUE(writer.AddTensor(fmt::format("blk.{}.w", part), DType::kF32, {5000 + part}));
    std::vector<std::byte> bytes = writer.Header();
    bytes.resize(bytes.size() + writer.DataBytes(), static_cast<std::byte>(0x11 * (part + 1)));
    ASSERT_TRUE(WriteFile(tree.Path(fmt::format("m-0000{}-of-00002.gguf", part + 1)), bytes));
  }
  const TensorIndex index = OpenModel(tree.Path("m-00001-of-00002.gguf")).value();
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

// A backend that hands completions on only as far as the test allows.
class HeldBackend final : public ReadBackend {
 public:
  struct Control {
    size_t deliver_first = 0;  // then wait for `released`
    Latch released = {};
    Latch reached = {};
    size_t delivered = 0;  // read after the load has ended
    size_t submitted = 0;
  };
  HeldBackend(std::unique_ptr<ReadBackend> inner, Control& control)
      : inner_(std::move(inner)), control_(control) {}

  std::string_view Name() const override { return "held"; }
  uint32_t Capacity() const override { return 4; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override {
    Result<size_t> taken = inner_->Submit(batch.first(std::min<size_t>(batch.size(), 2)));
    control_.submitted += *taken;
    return taken;
  }
  Result<size_t> Reap(std::span<ReadCompletion> completions) override {
    if (control_.delivered >= control_.deliver_first) {
      control_.reached.Open();
      control_.released.Wait();
    }
    Result<size_t> count = inner_->Reap(completions.first(1));
    control_.delivered += *count;
    return count;
  }

  static BackendFactory Factory(Control& control) {
    return [&control](LoaderKind, std::span<const BackendFile> files,
                      const BackendOptions&) -> Result<BackendChoice> {
      // One reader and a queue in order: what was submitted first completes first.
      ASSIGN_OR_RETURN(BackendChoice choice,
                       CreateBackend(LoaderKind::kRead, files, {.threads = 1}));
      choice.backend = std::make_unique<HeldBackend>(std::move(choice.backend), control);
      return choice;
    };
  }

 private:
  std::unique_ptr<ReadBackend> inner_;
  Control& control_;
};

LoadOptions SmallChunks() {
  LoadOptions options;
  options.loader = LoaderKind::kRead;
  options.chunk_bytes = 16'384;
  return options;
}

TEST(Weights, FirstLayersAreUsableWhileLaterOnesLoad) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const LoadOptions options = SmallChunks();
  const PlacementPlan placement = PlanPlacement(index, ThisMachine(), options, {}).value();
  const ReadPlan reads =
      PlanReads(index, placement,
                {.offset_alignment = kImageAlignment, .max_request_bytes = options.chunk_bytes});
  HeldBackend::Control control;
  for (const PlannedRead& read : reads.reads) control.deliver_first += read.first_group <= 1;
  ASSERT_LT(control.deliver_first, reads.reads.size());

  const auto weights =
      StartLoadWith(index, ThisMachine(), options, HeldBackend::Factory(control)).value();
  ASSERT_TRUE(weights->WaitGroup(0));
  ASSERT_TRUE(weights->WaitGroup(1));
  EXPECT_TRUE(weights->GroupReady(0));
  EXPECT_TRUE(weights->GroupReady(1));
  EXPECT_FALSE(weights->GroupReady(index.group_count() - 1));
  EXPECT_FALSE(weights->GroupReady(index.group_count() - 2));
  const TensorId first = index.Find("blk.0.attn_q.weight").value();
  const uint64_t early_hash = HashTensor(weights->View(first));
  control.released.Open();
  ASSERT_TRUE(weights->WaitGroup(index.group_count() - 1));
  const auto report = weights->Finish();
  ASSERT_TRUE(report);
  EXPECT_LT(report->time_to_first_layer_seconds, report->seconds);
  EXPECT_EQ(early_hash, HashTensor(weights->View(first)));
  EXPECT_EQ(HashAll(*weights, 2), HashOfFiles(index));
}

TEST(Weights, DestructionCancelsAndDrains) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  HeldBackend::Control control{.deliver_first = 3};
  auto weights =
      StartLoadWith(index, ThisMachine(), SmallChunks(), HeldBackend::Factory(control)).value();
  control.reached.Wait();
  // Destruction has to wait for the reads in flight, which this lets go on a little later.
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    control.released.Open();
  });
  weights.reset();
  release.join();
  EXPECT_EQ(control.delivered, control.submitted);
  EXPECT_LT(control.submitted, index.total_bytes() / SmallChunks().chunk_bytes);
}

TEST(Weights, FileThatChangesWhileLoadingIsAnError) {
  const TempTree tree;
  const std::string path = WriteModel(tree);
  const TensorIndex index = OpenModel(path).value();
  HeldBackend::Control control{.deliver_first = 1};
  const auto weights =
      StartLoadWith(index, ThisMachine(), SmallChunks(), HeldBackend::Factory(control)).value();
  control.reached.Wait();
  std::ofstream(path, std::ios::app | std::ios::binary) << "more";
  control.released.Open();
  const auto report = weights->Finish();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kBadData);
  EXPECT_THAT(report.error().message, HasSubstr(path + ": changed while loading"));
  EXPECT_FALSE(weights->WaitGroup(0));
}

// The file ends in the middle of the load: every wait ends, with the error that names the file.
TEST(Weights, FailureOpensEveryLatch) {
  const TempTree tree;
  const std::string path = WriteModel(tree);
  const TensorIndex index = OpenModel(path).value();
  HeldBackend::Control control{.deliver_first = 1};
  const auto weights =
      StartLoadWith(index, ThisMachine(), SmallChunks(), HeldBackend::Factory(control)).value();
  control.reached.Wait();
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(index.total_bytes() / 2)), 0);
  std::thread waiting([&] {
    const Status status = weights->WaitGroup(index.group_count() - 1);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr(path + ": the file ends at byte"));
  });
  control.released.Open();
  waiting.join();
  const auto report = weights->Finish();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kBadData);
}

TEST(Weights, BackendThatCannotBeMadeIsAnError) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const BackendFactory broken = [](LoaderKind, std::span<const BackendFile>,
                                   const BackendOptions&) -> Result<BackendChoice> {
    return MakeError(ErrorCode::kOs, "no threads");
  };
  const auto weights = StartLoadWith(index, ThisMachine(), SmallChunks(), broken).value();
  EXPECT_EQ(weights->WaitGroup(0).error().message, "no threads");
  EXPECT_EQ(weights->Finish().error().message, "no threads");
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

TEST(Weights, ProgressGrowsToTheEnd) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  for (const LoaderKind loader : {LoaderKind::kRead, LoaderKind::kMmap}) {
    std::vector<LoadProgress> calls;
    LoadOptions options = SmallChunks();
    options.loader = loader;
    options.progress = [&](const LoadProgress& progress) { calls.push_back(progress); };
    ASSERT_TRUE(LoadAll(index, options));
    ASSERT_FALSE(calls.empty());
    EXPECT_EQ(calls.back().bytes_done, calls.back().bytes_total);
    EXPECT_GE(calls.back().bytes_total, index.total_bytes());
    for (size_t i = 1; i < calls.size(); ++i) {
      EXPECT_GE(calls[i].bytes_done, calls[i - 1].bytes_done);
    }
  }
}

TEST(Weights, OptionsOutOfRangeAreUsageErrors) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  EXPECT_EQ(StartLoad(index, ThisMachine(), {.queue_depth = 0}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(StartLoad(index, ThisMachine(), {.numa = {.bind_node = 999}}).error().code,
            ErrorCode::kUsage);
}

TEST(Weights, BoundToANode) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const unsigned node = ThisMachine().nodes.front().os_index;
  for (const LoaderKind loader : kLoaders) {
    const auto report = LoadAll(index, {.loader = loader, .numa = {.bind_node = node}});
    ASSERT_TRUE(report) << NameOf(loader) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, HashOfFiles(index)) << NameOf(loader);
    if (loader != LoaderKind::kMmap && !report->residency.node_bytes.empty()) {
      EXPECT_EQ(report->residency.node_bytes.at(static_cast<int>(node)),
                report->residency.bytes_4k + report->residency.bytes_thp +
                    report->residency.bytes_2m + report->residency.bytes_1g);
    }
  }
}

TEST(LoadReport, RemoteFraction) {
  LoadReport report;
  EXPECT_EQ(report.RemoteFraction(), 0.0);
  report.residency.node_bytes = {{0, 300}, {1, 100}};
  EXPECT_EQ(report.RemoteFraction(), 0.25);
}

}  // namespace
}  // namespace llmrun
