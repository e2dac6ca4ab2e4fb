// Loads seen while they run: held back, cancelled, broken in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "loader/open_model.h"
#include "loader/plan/read_plan.h"
#include "loader/weights_internal.h"
#include "sched/latch.h"
#include "tests/loader/weights_support.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

// A backend that hands completions on only as far as the test allows. The thread of the test
// itself, when it reads rows, is not held.
class HeldBackend final : public ReadBackend {
 public:
  struct Control {
    size_t deliver_first = 0;  // then wait for `released`
    Latch released = {};
    Latch reached = {};
    size_t delivered = 0;  // read after the load has ended
    size_t submitted = 0;
    std::thread::id test = std::this_thread::get_id();
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
    return [&control](LoaderKind kind, std::span<const BackendFile> files,
                      const BackendOptions& options) -> Result<BackendChoice> {
      if (std::this_thread::get_id() == control.test) return CreateBackend(kind, files, options);
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

TEST(WeightsWhileLoading, FirstLayersAreUsableWhileLaterOnesLoad) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const LoadOptions options = SmallChunks();
  const PlacementPlan placement = PlanPlacement(index, ThisMachine(), options, {}).value();
  const ReadPlan reads = PlanReads(index, placement, LoadLimits(options.chunk_bytes));
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

// Bytes of one row of a matrix, from the file.
std::string RowInFile(const TensorIndex& index, TensorId id, uint64_t row, uint64_t row_bytes) {
  const FileExtent& extent = index.at(id).extent;
  std::ifstream file(index.files()[extent.file].label, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(extent.offset + row * row_bytes));
  std::string bytes(row_bytes, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(row_bytes));
  EXPECT_TRUE(file.good());
  return bytes;
}

TEST(WeightsWhileLoading, RowsAreToBeHadBeforeAndAfterTheirTensor) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const TensorId id = index.Find("token_embd.weight").value();
  const std::vector<int32_t> rows = {319, 0, 7, 7, 200, 1};
  for (const LoaderKind loader : {LoaderKind::kRead, LoaderKind::kIoUring, LoaderKind::kMmap}) {
    LoadOptions options = SmallChunks();
    options.loader = loader;
    HeldBackend::Control control{.deliver_first = 1};
    const auto weights =
        StartLoadWith(index, ThisMachine(), options, HeldBackend::Factory(control)).value();
    const uint64_t row_bytes = weights->View(id).row_bytes();
    for (const bool arrived : {false, true}) {
      if (arrived) {
        control.released.Open();
        ASSERT_TRUE(weights->Finish());
      } else if (loader != LoaderKind::kMmap) {
        control.reached.Wait();
        ASSERT_FALSE(weights->GroupReady(index.at(id).group));
      }
      std::string copied(rows.size() * row_bytes, '\0');
      const Status status =
          weights->CopyRows(id, rows, static_cast<std::byte*>(static_cast<void*>(copied.data())));
      ASSERT_TRUE(status) << status.error().OneLine();
      for (size_t i = 0; i < rows.size(); ++i) {
        EXPECT_EQ(copied.substr(i * row_bytes, row_bytes),
                  RowInFile(index, id, static_cast<uint64_t>(rows[i]), row_bytes))
            << NameOf(loader) << " row " << rows[i] << (arrived ? " after" : " before");
      }
    }
  }
}

// The file ends before the rows: the error names it, before and after the load found out.
TEST(WeightsWhileLoading, RowsOfATruncatedFileAreAnError) {
  const TempTree tree;
  const std::string path = WriteModel(tree);
  const TensorIndex index = OpenModel(path).value();
  const TensorId id = index.Find("token_embd.weight").value();
  HeldBackend::Control control{.deliver_first = 1};
  const auto weights =
      StartLoadWith(index, ThisMachine(), SmallChunks(), HeldBackend::Factory(control)).value();
  control.reached.Wait();
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(index.at(id).extent.offset)), 0);
  const std::vector<int32_t> rows = {5};
  std::vector<std::byte> copied(weights->View(id).row_bytes());
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Status status = weights->CopyRows(id, rows, copied.data());
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kBadData);
    EXPECT_THAT(status.error().message, HasSubstr(path));
    control.released.Open();
    EXPECT_FALSE(weights->Finish());
  }
}

TEST(WeightsWhileLoading, DestructionCancelsAndDrains) {
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

TEST(WeightsWhileLoading, FileThatChangesWhileLoadingIsAnError) {
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
TEST(WeightsWhileLoading, FailureOpensEveryLatch) {
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

TEST(WeightsWhileLoading, BackendThatCannotBeMadeIsAnError) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const BackendFactory broken = [](LoaderKind, std::span<const BackendFile>,
                                   const BackendOptions&) -> Result<BackendChoice> {
    return MakeError(ErrorCode::kOs, "no threads");
  };
  const auto weights = StartLoadWith(index, ThisMachine(), SmallChunks(), broken).value();
  EXPECT_EQ(weights->WaitGroup(index.group_count() - 1).error().message, "no threads");
  EXPECT_EQ(weights->Finish().error().message, "no threads");
}

TEST(WeightsWhileLoading, ProgressGrowsToTheEnd) {
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

}  // namespace
}  // namespace llmrun
