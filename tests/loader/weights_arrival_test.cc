// What happens to tensors as they arrive, and to the page cache behind them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <string>

#include "base/unique_fd.h"
#include "base/units.h"
#include "loader/open_model.h"
#include "loader/weights_internal.h"
#include "memory/residency.h"
#include "sched/latch.h"
#include "tests/loader/weights_support.h"

namespace llmrun {
namespace {

// The model's file, out of the page cache; what is not said of the cache skips the test.
class ColdFile {
 public:
  explicit ColdFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    bytes_ = static_cast<uint64_t>(::lseek(fd_.get(), 0, SEEK_END));
    ::fdatasync(fd_.get());
    ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
  uint64_t bytes() const { return bytes_; }
  uint64_t Cached() const {
    return CachedBytes(fd_.get(), bytes_).value_or(std::nullopt).value_or(bytes_);
  }
  // Some of the file cached and the rest not; else says why that is not to be had here.
  std::string WarmInPart() {
    if (Cached() > bytes_ / 10) return "this file cannot be made cold here";
    Warm(0, 512 * kKiB);
    return Cached() > bytes_ * 9 / 10 ? "read-ahead took the whole file" : "";
  }
  void Warm(uint64_t offset, uint64_t bytes) {
    ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_RANDOM);  // no more than these bytes
    std::string buffer(bytes, '\0');
    EXPECT_EQ(::pread(fd_.get(), buffer.data(), bytes, static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes));
  }

 private:
  UniqueFd fd_;
  uint64_t bytes_ = 0;
};

TEST(WeightsArriving, EveryTensorIsShownOnceAndComplete) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const uint64_t expected = HashOfFiles(index);
  for (const LoaderKind loader : {LoaderKind::kMmap, LoaderKind::kRead, LoaderKind::kIoUring}) {
    SCOPED_TRACE(NameOf(loader));
    std::mutex mutex;
    std::map<uint32_t, uint64_t> hashes;
    LoadOptions options{.loader = loader, .chunk_bytes = 100'000};
    options.on_tensor = [&](TensorId id, std::span<const TensorPiece> pieces) {
      const uint64_t hash = HashTensor(pieces);
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(hashes.emplace(static_cast<uint32_t>(id), hash).second);
      return Status();
    };
    const auto report = LoadAll(index, options);
    ASSERT_TRUE(report) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, expected);
    ASSERT_EQ(hashes.size(), index.tensors().size());
    std::vector<uint64_t> in_order;
    for (const auto& [id, hash] : hashes) in_order.push_back(hash);
    EXPECT_EQ(XXH3_64bits(in_order.data(), in_order.size() * sizeof(uint64_t)), expected);
  }
}

TEST(WeightsArriving, AnErrorOfTheVisitorIsTheLoads) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  LoadOptions options{.loader = LoaderKind::kRead};
  options.on_tensor = [&](TensorId id, std::span<const TensorPiece>) -> Status {
    if (index.at(id).name != "blk.1.attn_q.weight") return {};
    return MakeError(ErrorCode::kBadData, "not finite");
  };
  const auto report = LoadAll(index, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message, "not finite");
}

TEST(WeightsArriving, BufferedReadsLeaveNothingInThePageCache) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  for (const LoaderKind loader : {LoaderKind::kRead, LoaderKind::kSplice}) {
    SCOPED_TRACE(NameOf(loader));
    ColdFile file(index.files().front().label);
    if (file.Cached() > file.bytes() / 10) GTEST_SKIP() << "this file cannot be made cold here";
    ASSERT_TRUE(LoadAll(index, {.loader = loader}));
    EXPECT_LE(file.Cached(), file.bytes() / 20 + 64 * kKiB);
  }
}

TEST(WeightsArriving, WhatWasCachedStaysCached) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  ColdFile file(index.files().front().label);
  file.Warm(0, file.bytes());
  ASSERT_TRUE(LoadAll(index, {.loader = LoaderKind::kRead}));
  // Dropped pages go by whole reads, of which the smallest here is a fifth of the file. The kernel
  // may take some clean pages back at any time.
  EXPECT_GE(file.Cached(), file.bytes() * 9 / 10);
}

TEST(WeightsArriving, AutoCopiesWhatIsCachedAndReadsTheRest) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  ColdFile file(index.files().front().label);
  if (const std::string why = file.WarmInPart(); !why.empty()) GTEST_SKIP() << why;
  LoadOptions options{.loader = LoaderKind::kAuto, .chunk_bytes = 64 * kKiB};
  const auto report = LoadAll(index, options);
  ASSERT_TRUE(report) << report.error().OneLine();
  EXPECT_EQ(report->xxh3, HashOfFiles(index));
  if (report->loader != "io_uring + read") GTEST_SKIP() << report->loader;
  EXPECT_GT(report->copies, 0.05);
  EXPECT_LT(report->copies, 0.9);
}

// Direct reads of which each completes only after the copies from the page cache have failed.
class LateBackend final : public ReadBackend {
 public:
  LateBackend(std::unique_ptr<ReadBackend> inner, Latch& copies_failed, size_t& submitted)
      : inner_(std::move(inner)), copies_failed_(copies_failed), submitted_(submitted) {}
  std::string_view Name() const override { return "late"; }
  uint32_t Capacity() const override { return 1; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override {
    ++submitted_;
    return inner_->Submit(batch.first(1));
  }
  Result<size_t> Reap(std::span<ReadCompletion> completions) override {
    copies_failed_.Wait();
    ::usleep(1000);
    return inner_->Reap(completions.first(1));
  }

 private:
  std::unique_ptr<ReadBackend> inner_;
  Latch& copies_failed_;
  size_t& submitted_;
};

// Says when it is no more.
class FailingBackend final : public ReadBackend {
 public:
  explicit FailingBackend(Latch& gone) : gone_(gone) {}
  ~FailingBackend() override { gone_.Open(); }
  std::string_view Name() const override { return "failing"; }
  uint32_t Capacity() const override { return 1; }
  Result<size_t> Submit(std::span<const ReadRequest>) override {
    return MakeError(ErrorCode::kOs, "the copies failed");
  }
  Result<size_t> Reap(std::span<ReadCompletion>) override { return 0; }

 private:
  Latch& gone_;
};

TEST(WeightsArriving, WhenCopiesFailTheDirectReadsEndToo) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  ColdFile file(index.files().front().label);
  if (const std::string why = file.WarmInPart(); !why.empty()) GTEST_SKIP() << why;
  Latch copies_failed;
  size_t submitted = 0;
  const LoadOptions options{.loader = LoaderKind::kAuto, .chunk_bytes = 8 * kKiB};
  const auto factory = [&](LoaderKind kind, std::span<const BackendFile> files,
                           const BackendOptions& backend) -> Result<BackendChoice> {
    if (kind == LoaderKind::kRead) {
      return BackendChoice{.backend = std::make_unique<FailingBackend>(copies_failed)};
    }
    ASSIGN_OR_RETURN(BackendChoice choice, CreateBackend(LoaderKind::kRead, files, backend));
    choice.backend =
        std::make_unique<LateBackend>(std::move(choice.backend), copies_failed, submitted);
    return choice;
  };
  const auto report = StartLoadWith(index, ThisMachine(), options, factory).value()->Finish();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message, "the copies failed");
  EXPECT_LT(submitted, (file.bytes() - file.Cached()) / (8 * kKiB) / 2);
}

TEST(WeightsArriving, ATraceTellsOfEveryRead) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  TraceLog trace;
  LoadOptions options{.loader = LoaderKind::kIoUring, .chunk_bytes = 512 * kKiB};
  options.trace = &trace;
  ASSERT_TRUE(LoadAll(index, options));
  uint64_t reads = 0;
  for (const TraceSpan& span : trace.Take()) {
    EXPECT_LE(span.begin_s, span.end_s);
    reads += span.track == "reads" ? 1 : 0;
  }
  EXPECT_GE(reads, index.total_bytes() / (512 * kKiB));
  EXPECT_TRUE(trace.Take().empty());
}

}  // namespace
}  // namespace llmrun
