#include "sched/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>
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

ThreadPoolOptions Team(int threads, uint32_t spin_ns = 20'000, int effective_cpus = 2) {
  ThreadPoolOptions options;
  options.threads = threads;
  options.spin_ns = spin_ns;
  options.effective_cpus = effective_cpus;
  return options;
}

std::vector<unsigned> AllowedCpus() {
  std::vector<unsigned> cpus;
  const Result<CpuMask> mask = AffinityOf(ThisThreadId());
  EXPECT_TRUE(mask.has_value());
  for (unsigned cpu = 0; cpu < mask->words.size() * 64; ++cpu) {
    if (mask->words[cpu / 64] >> cpu % 64 & 1) cpus.push_back(cpu);
  }
  return cpus;
}

class PoolSizes : public testing::TestWithParam<int> {};

TEST_P(PoolSizes, RunsEveryMemberOncePerRegion) {
  const int threads = GetParam();
  for (uint32_t spin_ns : {0U, 20'000U}) {
    auto pool = MustCreate(Team(threads, spin_ns));
    ASSERT_EQ(pool->size(), threads);
    std::vector<int> runs(static_cast<size_t>(threads), 0);
    constexpr int kRegions = 200;
    for (int i = 0; i < kRegions; ++i) {
      pool->Run([&](int member) { ++runs[static_cast<size_t>(member)]; });
    }
    EXPECT_EQ(runs, std::vector<int>(static_cast<size_t>(threads), kRegions));
  }
}

TEST_P(PoolSizes, BarrierOrdersThePhasesOfARegion) {
  const auto threads = static_cast<size_t>(GetParam());
  auto pool = MustCreate(Team(GetParam()));
  std::vector<int64_t> value(threads, 1);
  std::vector<int64_t> next(threads, 0);
  constexpr int kRegions = 10;
  constexpr int kSteps = 20;
  // Each step replaces every slot by the sum of all, modulo a prime.
  constexpr int64_t kPrime = 1'000'003;
  int64_t want = 1;
  for (int r = 0; r < kRegions; ++r) {
    pool->Run([&](int member) {
      for (int s = 0; s < kSteps; ++s) {
        next[static_cast<size_t>(member)] =
            std::accumulate(value.begin(), value.end(), int64_t{0}) % kPrime;
        pool->Barrier();
        value[static_cast<size_t>(member)] = next[static_cast<size_t>(member)];
        pool->Barrier();
      }
    });
    for (int s = 0; s < kSteps; ++s) want = want * GetParam() % kPrime;
    EXPECT_EQ(value, std::vector<int64_t>(threads, want));
  }
}

INSTANTIATE_TEST_SUITE_P(Teams, PoolSizes, testing::Values(1, 2, 3, 4, 7, 8, 16));

TEST(ThreadPool, CallerIsMemberZero) {
  auto pool = MustCreate(Team(3));
  std::vector<std::thread::id> ids(3);
  pool->Run([&](int member) { ids[static_cast<size_t>(member)] = std::this_thread::get_id(); });
  EXPECT_EQ(ids[0], std::this_thread::get_id());
  EXPECT_NE(ids[1], ids[0]);
  EXPECT_NE(ids[2], ids[1]);
}

TEST(ThreadPool, EndsWhileItsThreadsSleep) {
  for (uint32_t spin_ns : {0U, 1'000U}) {
    auto pool = MustCreate(Team(4, spin_ns));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST(ThreadPool, ComesAndGoesManyTimes) {
  for (int i = 0; i < 50; ++i) {
    auto pool = MustCreate(Team(1 + i % 4, 20'000, 4));
    int sum = 0;
    pool->Run([&](int member) {
      if (member == 0) sum += 1;
    });
    EXPECT_EQ(sum, 1);
  }
}

TEST(ThreadPool, RefusesAbsurdSizes) {
  for (int threads : {0, -1, ThreadPool::kMaxThreads + 1}) {
    auto pool = ThreadPool::Create(Team(threads));
    ASSERT_FALSE(pool.has_value());
    EXPECT_EQ(pool.error().code, ErrorCode::kUsage);
  }
}

TEST(ThreadPool, PinsWorkersAndRestoresTheCaller) {
  const std::vector<unsigned> before = AllowedCpus();
  ThreadPoolOptions options = Team(3);
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
  ThreadPoolOptions options = Team(2);
  options.cpus = {before.front()};
  auto pool = MustCreate(options);
  EXPECT_EQ(AllowedCpus(), before);
}

TEST(ThreadPool, RefusedPinningIsCountedAndHarmless) {
  const std::vector<unsigned> before = AllowedCpus();
  ThreadPoolOptions options = Team(4);
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
