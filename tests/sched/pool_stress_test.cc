// The pool where threads do not get the CPU when they want it: too many of them, another program on
// a CPU, members stopped in the middle of anything, the whole process stopped, a CPU quota; one way
// at a time and all together.
#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "sched/affinity.h"
#include "sched/thread_pool.h"
#include "tests/sched/disturbances.h"
#include "tests/support/sanitizer.h"

namespace llmrun {
namespace {

std::shared_ptr<const Team> RandomTeam(int threads, std::mt19937& random) {
  const unsigned nodes = 1 + random() % 3;
  std::vector<std::optional<unsigned>> node_of;
  std::vector<double> weights;
  for (int i = 0; i < threads; ++i) {
    node_of.emplace_back(static_cast<unsigned>(i) % nodes);
    weights.push_back(i != 0 && random() % 3 == 0 ? 0 : 1.0 / (1 + random() % 3));
  }
  return std::make_shared<const Team>(node_of, weights);
}

// Regions of everybody, steps, changes of the team, by chance. Returns how many values were wrong.
int UsePool(ThreadPool& pool, unsigned seed, int rounds) {
  constexpr int64_t kUnits = 151;
  const auto size = static_cast<size_t>(pool.size());
  std::mt19937 random(seed);
  std::vector<int> value(kUnits);
  std::vector<int> runs(size);
  std::atomic<int> wrong{0};
  int now = 0;
  int regions = 0;
  for (int round = 0; round < rounds; ++round) {
    if (random() % 4 == 0) pool.SetTeam(RandomTeam(pool.size(), random));
    if (random() % 3 == 0) {
      pool.Run([&](int member) { ++runs[static_cast<size_t>(member)]; });
      wrong +=
          static_cast<int>(std::ranges::count_if(runs, [&](int n) { return n != regions + 1; }));
      ++regions;
      continue;
    }
    const StepPlan plan = pool.team()->Deal(0, kUnits, 1 + random() % 9);
    constexpr int kSteps = 3;
    pool.RunSteps([&](int index) {
      wrong += pool.team()->works(index) ? 0 : 1;
      WorkSteps::Member member(pool.steps(), index);
      for (int step = 0; step < kSteps; ++step) {
        member.Step(plan, [&](Range piece) {
          for (int64_t at = piece.begin; at < piece.end; ++at) {
            int& slot = value[static_cast<size_t>((at * 5 + step) % kUnits)];
            if (slot != now + step) ++wrong;
            ++slot;
          }
        });
      }
    });
    now += kSteps;
  }
  wrong += static_cast<int>(std::ranges::count_if(value, [&](int v) { return v != now; }));
  return wrong;
}

std::vector<unsigned> CpusOfThisThread() { return CpusIn(AffinityOf(ThisThreadId()).value()); }

// As if there were CPUs enough, so that it spins all the same.
std::unique_ptr<ThreadPool> PoolOf(int threads, uint32_t spin_ns) {
  return ThreadPool::Create({.threads = threads,
                             .cpus = CpusOfThisThread(),
                             .spin_ns = spin_ns,
                             .effective_cpus = threads})
      .value();
}

int Rounds(int threads) { return (kAnySanitizer ? 60 : 4'000) / (4 + threads) + 4; }

class PoolStress : public testing::TestWithParam<std::tuple<int, uint32_t>> {
 protected:
  int threads() const { return std::get<0>(GetParam()); }
  uint32_t spin_ns() const { return std::get<1>(GetParam()); }
  unsigned seed() const { return static_cast<unsigned>(threads()) * 31 + spin_ns(); }
};

INSTANTIATE_TEST_SUITE_P(Pools, PoolStress,
                         testing::Combine(testing::Values(1, 2, 3, 4, 8, 16, 64),
                                          testing::Values(0U, 1'000U, 20'000U)),
                         [](const auto& test) {
                           return std::to_string(std::get<0>(test.param)) + "threads_spin" +
                                  std::to_string(std::get<1>(test.param));
                         });

TEST_P(PoolStress, Alone) {
  const Watchdog watchdog;
  const auto pool = PoolOf(threads(), spin_ns());
  EXPECT_EQ(UsePool(*pool, seed(), 3 * Rounds(threads())), 0);
}

TEST_P(PoolStress, BesideABurner) {
  const Watchdog watchdog;
  const Burner burner(CpusOfThisThread().back());
  const auto pool = PoolOf(threads(), spin_ns());
  EXPECT_EQ(UsePool(*pool, seed(), Rounds(threads())), 0);
}

TEST_P(PoolStress, MembersAreStopped) {
  const Watchdog watchdog;
  const auto pool = PoolOf(threads(), spin_ns());
  const MemberStopper stopper(pool->thread_ids(), seed());
  EXPECT_EQ(UsePool(*pool, seed(), Rounds(threads())), 0);
}

// Pools of these sizes, one after the other. How many values were wrong.
int UsePools(const std::vector<int>& sizes) {
  int wrong = 0;
  for (const int threads : sizes) {
    for (const uint32_t spin_ns : {0U, 20'000U}) {
      wrong += UsePool(*PoolOf(threads, spin_ns), spin_ns + 1, Rounds(threads));
    }
  }
  return wrong;
}

// What children exit with.
constexpr int kNothingWrong = 0;
constexpr int kValuesWrong = 1;
constexpr int kNoQuota = 2;

// Returns the child's pid. `cgroup`: for the child alone; nullptr: none.
pid_t UsePoolsInAChild(const std::vector<int>& sizes, const CpuQuota* cgroup) {
  return StartChild([&] {
    if (cgroup != nullptr && !cgroup->Enter()) return kNoQuota;
    return UsePools(sizes) == 0 ? kNothingWrong : kValuesWrong;
  });
}

void ExpectNothingWrong(int status) {
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kNoQuota) GTEST_SKIP() << "a process may not be put into the cgroup";
  EXPECT_EQ(WEXITSTATUS(status), kNothingWrong);
}

TEST(PoolStressOfProcess, TheProcessIsStopped) {
  const pid_t child = UsePoolsInAChild({2, 3, 8}, nullptr);
  ASSERT_GT(child, 0);
  ExpectNothingWrong(StopUntilItEnds(child, false, 5));
}

TEST(PoolStressOfProcess, UnderACpuQuota) {
  const CpuQuota cgroup(50);
  if (!cgroup.exists()) GTEST_SKIP() << "no cgroup with a CPU quota can be made here";
  const pid_t child = UsePoolsInAChild({2, 3, 8}, &cgroup);
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ExpectNothingWrong(status);
}

// All of it together: a burner, stopped members, a stopped process, and a quota or none.
class PoolStressOfAll : public testing::TestWithParam<std::tuple<int, bool>> {};

INSTANTIATE_TEST_SUITE_P(Pools, PoolStressOfAll,
                         testing::Combine(testing::Values(1, 2, 5, 16, 64), testing::Bool()),
                         [](const auto& test) {
                           return std::to_string(std::get<0>(test.param)) + "threads" +
                                  (std::get<1>(test.param) ? "_quarter_of_a_cpu" : "");
                         });

TEST_P(PoolStressOfAll, Together) {
  const auto [threads, quota] = GetParam();
  std::optional<CpuQuota> cgroup;
  if (quota) cgroup.emplace(25);
  if (quota && !cgroup->exists()) GTEST_SKIP() << "no cgroup with a CPU quota can be made here";
  const NapOnSignal nap;
  const pid_t child = UsePoolsInAChild({threads}, quota ? &*cgroup : nullptr);
  ASSERT_GT(child, 0);
  const Burner burner(CpusOfThisThread().back());
  ExpectNothingWrong(StopUntilItEnds(child, true, static_cast<unsigned>(threads)));
}

}  // namespace
}  // namespace llmrun
