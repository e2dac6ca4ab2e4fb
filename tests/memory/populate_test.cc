#include "memory/populate.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <vector>

#include "base/units.h"

namespace llmrun {
namespace {

constexpr uint64_t kPage = 4 * kKiB;

// Addresses only; `touch` here is a fake.
class PopulateTest : public testing::Test {
 protected:
  static constexpr uint64_t kBytes = 100 * kMiB + 3 * kPage;

  void SetUp() override {
    void* mapped = mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    range_ = {static_cast<std::byte*>(mapped), kBytes};
  }
  void TearDown() override { munmap(range_.data(), kBytes); }

  // Fails every touch that reaches a page in [bad_begin, bad_end), counts the rest.
  PopulateOutcome Run(int threads, uint64_t bad_begin, uint64_t bad_end, uint64_t page = kPage) {
    touched_.assign(kBytes / kPage, 0);
    PopulateSpec spec;
    spec.page_bytes = page;
    spec.threads = threads;
    return Populate(range_, spec, [&](std::byte* at, uint64_t bytes) {
      const auto begin = static_cast<uint64_t>(at - range_.data());
      EXPECT_EQ(begin % page, 0u);
      EXPECT_EQ(bytes % page, 0u);
      EXPECT_LE(begin + bytes, kBytes);
      if (begin < bad_end && begin + bytes > bad_begin) return EFAULT;
      const std::lock_guard lock(mutex_);
      for (uint64_t i = begin / kPage; i < (begin + bytes) / kPage; ++i) ++touched_[i];
      return 0;
    });
  }

  std::span<std::byte> range_;
  std::mutex mutex_;
  std::vector<int> touched_;
};

TEST_F(PopulateTest, TouchesEveryPageOnce) {
  for (const int threads : {1, 2, 7}) {
    const PopulateOutcome outcome = Run(threads, 0, 0);
    EXPECT_EQ(outcome.done_bytes, kBytes);
    EXPECT_EQ(outcome.errnum, 0);
    for (const int count : touched_) ASSERT_EQ(count, 1);
  }
}

TEST_F(PopulateTest, FailureLeavesAnExactPrefix) {
  for (const int threads : {1, 2, 7}) {
    for (const uint64_t bad_page : {0, 1, 4095, 4096, 9000, 25602}) {
      const PopulateOutcome outcome = Run(threads, bad_page * kPage, kBytes);
      EXPECT_EQ(outcome.done_bytes, bad_page * kPage) << threads << " threads";
      EXPECT_EQ(outcome.errnum, EFAULT);
      for (uint64_t i = 0; i < bad_page; ++i) ASSERT_GE(touched_[i], 1) << "page " << i;
    }
  }
}

TEST_F(PopulateTest, GoodPagesBehindABadOneDoNotCount) {
  for (const int threads : {1, 4}) {
    const PopulateOutcome outcome = Run(threads, 5000 * kPage, 5001 * kPage);
    EXPECT_EQ(outcome.done_bytes, 5000 * kPage);
    EXPECT_EQ(outcome.errnum, EFAULT);
  }
}

TEST_F(PopulateTest, InterruptionsAreTriedAgain) {
  for (const int errnum : {EINTR, EAGAIN}) {
    std::atomic<int> calls = 0;
    PopulateSpec spec;
    spec.threads = 2;
    const PopulateOutcome outcome =
        Populate(range_, spec, [&](std::byte*, uint64_t) { return ++calls % 3 == 0 ? 0 : errnum; });
    EXPECT_EQ(outcome.done_bytes, kBytes);
    EXPECT_EQ(outcome.errnum, 0);
  }
}

TEST_F(PopulateTest, EndlessInterruptionEnds) {
  const PopulateOutcome outcome =
      Populate(range_.first(kPage), {}, [](std::byte*, uint64_t) { return EAGAIN; });
  EXPECT_EQ(outcome.done_bytes, 0u);
  EXPECT_EQ(outcome.errnum, EAGAIN);
}

TEST_F(PopulateTest, AFailureThatPassesIsNoFailure) {
  bool failed = false;
  const PopulateOutcome outcome = Populate(range_, {}, [&](std::byte* at, uint64_t) {
    if (failed || at != range_.data() + 32 * kMiB) return 0;
    failed = true;
    return ENOMEM;
  });
  EXPECT_EQ(outcome.done_bytes, kBytes);
  EXPECT_EQ(outcome.errnum, 0);
}

TEST_F(PopulateTest, ThreadsOnANodeDoTheSame) {
  PopulateSpec spec;
  for (const unsigned node : {0u, 4000u}) {  // the second does not exist: unpinned, not failed
    spec.node = node;
    EXPECT_EQ(Populate(range_, spec, [](std::byte*, uint64_t) { return 0; }).done_bytes, kBytes);
  }
}

TEST_F(PopulateTest, NothingIsDoneAtOnce) {
  const PopulateOutcome outcome =
      Populate(range_.first(0), {}, [](std::byte*, uint64_t) { return EIO; });
  EXPECT_EQ(outcome.done_bytes, 0u);
  EXPECT_EQ(outcome.errnum, 0);
}

}  // namespace
}  // namespace llmrun
