// Filling several arenas: each has a backend and a thread of its own, and they end together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "loader/fill.h"
#include "loader/open_model.h"
#include "tests/loader/restrict_thread.h"
#include "tests/loader/weights_support.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// Counts what goes through backends, and breaks the one whose reads go into an arena.
struct Watch {
  const std::byte* broken = nullptr;  // an arena
  uint64_t broken_bytes = 0;
  uint32_t depth = 16;  // of a backend

  std::mutex mutex = {};
  std::set<std::thread::id> threads = {};  // guarded by mutex, as what follows
  uint32_t most_in_flight = 0;             // of one backend
};

class WatchedBackend final : public ReadBackend {
 public:
  WatchedBackend(std::unique_ptr<ReadBackend> inner, Watch& watch)
      : inner_(std::move(inner)), watch_(watch) {
    const std::lock_guard lock(watch_.mutex);
    watch_.threads.insert(std::this_thread::get_id());
  }
  std::string_view Name() const override { return "watched"; }
  uint32_t Capacity() const override { return watch_.depth; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override {
    for (const ReadRequest& request : batch) {
      if (request.destination >= watch_.broken &&
          request.destination < watch_.broken + watch_.broken_bytes) {
        return OsError(EIO, "the broken backend");
      }
    }
    ASSIGN_OR_RETURN(const size_t taken, inner_->Submit(batch));
    in_flight_ += static_cast<uint32_t>(taken);
    const std::lock_guard lock(watch_.mutex);
    watch_.most_in_flight = std::max(watch_.most_in_flight, in_flight_);
    return taken;
  }
  Result<size_t> Reap(std::span<ReadCompletion> completions) override {
    ASSIGN_OR_RETURN(const size_t count, inner_->Reap(completions));
    in_flight_ -= static_cast<uint32_t>(count);
    return count;
  }

 private:
  std::unique_ptr<ReadBackend> inner_;
  Watch& watch_;
  uint32_t in_flight_ = 0;
};

// A model whose rows are dealt out to four nodes that this machine need not have.
class FillArenas4 : public testing::Test {
 protected:
  FillArenas4()
      : index_(OpenModel(WriteModel(tree_)).value()),
        plan_(PlanPlacement(index_,
                            SyntheticMachine("pack:4 [numa(memory=8GB)] core:2 pu:1").value(),
                            {.loader = LoaderKind::kIoUring,
                             .hugepages = HugePages::kOff,
                             .numa = {.mode = NumaMode::kShard}},
                            {})
                  .value()),
        reads_(PlanReads(index_, plan_, LoadLimits(16'384))),
        landed_(reads_.reads.size()) {
    for (const GgufFile& file : index_.files()) {
      files_.push_back(OpenModelFile(file.label, file.file_bytes).value());
    }
    for (const ArenaPlan& arena : plan_.arenas) {
      arenas_.push_back(
          Arena::Reserve({.tiles = arena.tiles, .nodes = {}, .touch_later = true}).value());
    }
  }

  Result<FillResult> Fill(LoaderKind loader, bool direct) {
    const FillJob job{.loader = loader,
                      .reads = reads_,
                      .files = files_,
                      .threads = 2,
                      .queue_depth = 8,
                      .request_bytes = 16'384,
                      .landed = [this](size_t read) { ++landed_[read]; },
                      .tick = [] {},
                      .cancelled = cancelled_};
    return FillArenas(
        job, arenas_,
        [&](LoaderKind kind, std::span<const BackendFile> files,
            const BackendOptions& options) -> Result<BackendChoice> {
          ASSIGN_OR_RETURN(BackendChoice choice, CreateBackend(kind, files, options));
          choice.backend = std::make_unique<WatchedBackend>(std::move(choice.backend), watch_);
          choice.direct = direct;  // with or without a ring: files say themselves what they can
          choice.fallbacks.push_back({"a wish", "another thing", "", ""});
          return choice;
        });
  }

  const TempTree tree_;
  const TensorIndex index_;
  const PlacementPlan plan_;
  const ReadPlan reads_;
  std::vector<std::atomic<int>> landed_;
  std::vector<ModelFile> files_;
  std::vector<Arena> arenas_;
  std::atomic<bool> cancelled_{false};
  Watch watch_;
};

// Every block of every read is what the file has there.
void ExpectFilled(const ReadPlan& reads, const TensorIndex& index,
                  const std::vector<Arena>& arenas) {
  for (const PlannedRead& read : reads.reads) {
    std::ifstream file(index.files()[read.file].label, std::ios::binary);
    std::string wanted(read.must_bytes, '\0');
    file.seekg(static_cast<std::streamoff>(read.file_offset));
    file.read(wanted.data(), static_cast<std::streamsize>(wanted.size()));
    ASSERT_TRUE(file.good());
    ASSERT_EQ(
        std::memcmp(wanted.data(), arenas[read.arena].data() + read.arena_offset, wanted.size()),
        0);
  }
}

TEST_F(FillArenas4, EachHasABackendAndAThread) {
  const auto filled = Fill(LoaderKind::kIoUring, true);
  ASSERT_TRUE(filled) << filled.error().OneLine();
  ExpectFilled(reads_, index_, arenas_);
  for (const std::atomic<int>& count : landed_) EXPECT_EQ(count, 1);
  EXPECT_THAT(watch_.threads, SizeIs(4));
  EXPECT_EQ(watch_.threads.count(std::this_thread::get_id()), 0U);
  EXPECT_EQ(filled->rings, 4U);
  EXPECT_EQ(filled->queue_depth, 8U);
  EXPECT_EQ(watch_.most_in_flight, 2U) << "all together have eight in flight";
  EXPECT_EQ(filled->bytes, reads_.total_bytes);
  EXPECT_EQ(filled->loader, "watched");
}

TEST_F(FillArenas4, ThreadsThatReadAreDealtOut) {
  const auto filled = Fill(LoaderKind::kRead, false);
  ASSERT_TRUE(filled) << filled.error().OneLine();
  ExpectFilled(reads_, index_, arenas_);
  EXPECT_EQ(filled->rings, 0U);
  EXPECT_EQ(filled->copied_bytes, reads_.total_bytes);
}

TEST_F(FillArenas4, WhatEachOfThemFindsIsSaidOnce) {
  const auto filled = Fill(LoaderKind::kRead, false);
  ASSERT_TRUE(filled);
  ASSERT_THAT(filled->fallbacks, SizeIs(1));
  EXPECT_EQ(filled->fallbacks[0].wanted, "a wish");
}

TEST_F(FillArenas4, OneThatFailsEndsTheOthersAndIsNamed) {
  for (const LoaderKind loader : {LoaderKind::kIoUring, LoaderKind::kRead}) {
    watch_.broken = arenas_[2].data();
    watch_.broken_bytes = arenas_[2].size_bytes();
    const auto filled = Fill(loader, loader == LoaderKind::kIoUring);
    ASSERT_FALSE(filled);
    EXPECT_THAT(filled.error().message, HasSubstr("the broken backend"));
  }
}

TEST_F(FillArenas4, WithoutThreadsIsAnErrorAndNotAnEmptyLoad) {
  std::optional<Result<FillResult>> filled;
  std::thread([&] {
    if (!RefuseSyscall(SYS_clone3, EAGAIN) || !RefuseSyscall(SYS_clone, EAGAIN)) return;
    filled = Fill(LoaderKind::kRead, false);
  }).join();
  if (!filled) GTEST_SKIP() << "no seccomp filters here";
  ASSERT_FALSE(*filled);
  EXPECT_EQ(filled->error().code, ErrorCode::kResource);
  EXPECT_THAT(filled->error().message, HasSubstr("starting a thread for reading"));
  for (const std::atomic<int>& count : landed_) EXPECT_EQ(count, 0);
}

}  // namespace
}  // namespace llmrun
