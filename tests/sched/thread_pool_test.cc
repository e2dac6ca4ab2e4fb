#include "sched/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "sched/affinity.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

constexpr unsigned kNoSuchCpu = 1'000'000;

std::unique_ptr<ThreadPool> MustCreate(const ThreadPoolOptions& options) {
  auto pool = ThreadPool::Create(options);
  EXPECT_TRUE(pool.has_value()) << pool.error().OneLine();
  return pool ? *std::move(pool) : nullptr;
}

ThreadPoolOptions Options(int threads, uint32_t spin_ns = 20'000, int effective_cpus = 2) {
  ThreadPoolOptions options;
  options.threads = threads;
  options.spin_ns = spin_ns;
  options.effective_cpus = effective_cpus;
  return options;
}

std::vector<unsigned> AllowedCpus() {
  const Result<CpuMask> mask = AffinityOf(ThisThreadId());
  EXPECT_TRUE(mask.has_value());
  return CpusIn(mask.value_or(CpuMask()));
}

class PoolSizes : public testing::TestWithParam<int> {};

TEST_P(PoolSizes, RunsEveryMemberOncePerRegion) {
  const int threads = GetParam();
  for (uint32_t spin_ns : {0U, 20'000U}) {
    auto pool = MustCreate(Options(threads, spin_ns));
    ASSERT_EQ(pool->size(), threads);
    std::vector<int> runs(static_cast<size_t>(threads), 0);
    constexpr int kRegions = 200;
    for (int i = 0; i < kRegions; ++i) {
      pool->Run([&](int member) { ++runs[static_cast<size_t>(member)]; });
    }
    EXPECT_EQ(runs, std::vector<int>(static_cast<size_t>(threads), kRegions));
  }
}

// The benched are called for a region of everybody, and for no other.
TEST_P(PoolSizes, RunsTheBenchedOnlyWithEverybody) {
  const auto threads = static_cast<size_t>(GetParam());
  const auto pool = MustCreate(Options(GetParam(), 1'000));
  std::vector<double> weights(threads, 0.0);
  weights[0] = 1;
  std::vector<int> everybody(threads);
  std::vector<int> team(threads);
  for (int round = 0; round < 50; ++round) {
    weights[threads - 1] = round % 2;
    if (threads == 1) weights[0] = 1;
    pool->SetTeam(
        std::make_shared<llmrun::Team>(std::vector<std::optional<unsigned>>(threads), weights));
    pool->RunSteps([&](int member) { ++team[static_cast<size_t>(member)]; });
    pool->Run([&](int member) { ++everybody[static_cast<size_t>(member)]; });
  }
  EXPECT_EQ(everybody, std::vector<int>(threads, 50));
  EXPECT_EQ(team[0], 50);
  for (size_t i = 1; i + 1 < threads; ++i) EXPECT_EQ(team[i], 0);
  EXPECT_LE(team[threads - 1], 50);
}

INSTANTIATE_TEST_SUITE_P(Teams, PoolSizes, testing::Values(1, 2, 3, 4, 7, 8, 16));

TEST(ThreadPool, CallerIsMemberZero) {
  auto pool = MustCreate(Options(3));
  std::vector<std::thread::id> ids(3);
  pool->Run([&](int member) { ids[static_cast<size_t>(member)] = std::this_thread::get_id(); });
  EXPECT_EQ(ids[0], std::this_thread::get_id());
  EXPECT_NE(ids[1], ids[0]);
  EXPECT_NE(ids[2], ids[1]);
}

TEST(ThreadPool, EndsWhileItsThreadsSleep) {
  for (uint32_t spin_ns : {0U, 1'000U}) {
    auto pool = MustCreate(Options(4, spin_ns));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST(ThreadPool, ComesAndGoesManyTimes) {
  for (int i = 0; i < 50; ++i) {
    auto pool = MustCreate(Options(1 + i % 4, 20'000, 4));
    int sum = 0;
    pool->Run([&](int member) {
      if (member == 0) sum += 1;
    });
    EXPECT_EQ(sum, 1);
  }
}

TEST(ThreadPool, RefusesAbsurdSizes) {
  for (int threads : {0, -1, ThreadPool::kMaxThreads + 1}) {
    auto pool = ThreadPool::Create(Options(threads));
    ASSERT_FALSE(pool.has_value());
    EXPECT_EQ(pool.error().code, ErrorCode::kUsage);
  }
}

TEST(ThreadPool, PinsWorkersAndRestoresTheCaller) {
  const std::vector<unsigned> before = AllowedCpus();
  ThreadPoolOptions options = Options(3);
  options.cpus = before;
  options.pin_caller = true;
  {
    auto pool = MustCreate(options);
    EXPECT_EQ(pool->pin_failures(), 0);
    std::vector<int> cpus(3, -1);
    pool->Run([&](int member) { cpus[static_cast<size_t>(member)] = ::sched_getcpu(); });
    for (size_t i = 0; i < cpus.size(); ++i) {
      EXPECT_EQ(cpus[i], static_cast<int>(before[i % before.size()]));
    }
    EXPECT_EQ(AllowedCpus().size(), 1U);
  }
  EXPECT_EQ(AllowedCpus(), before);
}

TEST(ThreadPool, LeavesTheCallerAloneUnlessAsked) {
  const std::vector<unsigned> before = AllowedCpus();
  ThreadPoolOptions options = Options(2);
  options.cpus = {before.front()};
  auto pool = MustCreate(options);
  EXPECT_EQ(AllowedCpus(), before);
}

TEST(ThreadPool, RefusedPinningIsCountedAndHarmless) {
  const std::vector<unsigned> before = AllowedCpus();
  ThreadPoolOptions options = Options(4);
  options.cpus = {kNoSuchCpu};
  options.pin_caller = true;
  auto pool = MustCreate(options);
  EXPECT_EQ(pool->pin_failures(), 4);
  std::vector<int> runs(4, 0);
  pool->Run([&](int member) { ++runs[static_cast<size_t>(member)]; });
  EXPECT_EQ(runs, std::vector<int>(4, 1));
  EXPECT_EQ(AllowedCpus(), before);
}

TEST(Affinity, NamesTheCallThatFailed) {
  for (unsigned cpu : {kNoSuchCpu, 60'000U}) {
    const Status status = PinToCpu(ThisThreadId(), cpu);
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, ErrorCode::kOs);
    EXPECT_EQ(status.error().message, "sched_setaffinity: Invalid argument");
  }
}

TEST(Partition, CoversEverythingOnceInUnits) {
  for (int64_t n : {0, 1, 15, 16, 17, 100, 4096}) {
    for (int parts : {1, 2, 3, 7, 16}) {
      for (int64_t unit : {1, 4, 16}) {
        int64_t at = 0;
        for (int i = 0; i < parts; ++i) {
          const Range range = StaticRange(n, parts, i, unit);
          EXPECT_EQ(range.begin, at);
          EXPECT_TRUE(range.end == n || range.end % unit == 0);
          at = range.end;
        }
        EXPECT_EQ(at, n);
      }
    }
  }
}

}  // namespace
}  // namespace llmrun
