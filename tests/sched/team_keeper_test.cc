#include "sched/team_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sched/affinity.h"
#include "tests/memory/temp_tree.h"

namespace llmrun {
namespace {

using testing::ElementsAre;

// A machine of 2 nodes with 4 cores each, in whose CPU limits a test writes. Nothing is pinned
// where there are no such CPUs; teams and what they are to be pinned to follow all the same.
class TeamKeeperTest : public testing::Test {
 protected:
  TeamKeeperTest() { Enter("max 100000", "0-7"); }

  void Enter(const std::string& cpu_max, const std::string& cpuset) const {
    tree_.Write("proc/self/cgroup", "0::/box\n");
    tree_.Write("cgroup/cgroup.controllers", "cpu cpuset\n");
    tree_.Write("cgroup/box/cpu.max", cpu_max + "\n");
    tree_.Write("cgroup/box/cpuset.cpus.effective", cpuset + "\n");
  }

  TeamKeeperOptions Options(int prompt_threads, int decode_threads) const {
    TeamKeeperOptions options{.machine = SyntheticMachine("pack:2 numa:1 core:4 pu:1").value(),
                              .nodes = {0, 1},
                              .pin = {},
                              .prompt_threads = prompt_threads,
                              .decode_threads = decode_threads};
    options.roots = {tree_.Path("proc"), tree_.Path("sys"), tree_.Path("cgroup")};
    options.look_interval = std::chrono::milliseconds(0);
    return options;
  }

  void Make(const TeamKeeperOptions& options) {
    keeper_.reset();
    ThreadPoolOptions pool;
    pool.threads = std::max(options.prompt_threads, options.decode_threads);
    pool_ = ThreadPool::Create(pool).value();
    auto keeper = TeamKeeper::Create(*pool_, options);
    ASSERT_TRUE(keeper) << keeper.error().OneLine();
    keeper_ = *std::move(keeper);
  }
  // The nodes of those who work.
  std::vector<unsigned> Nodes() const {
    std::vector<unsigned> nodes;
    for (int i = 0; i < pool_->size(); ++i) {
      if (pool_->team()->works(i)) nodes.push_back(pool_->team()->node(i).value_or(99));
    }
    return nodes;
  }

  // Computes tokens, on a machine where one takes cost(threads) seconds. The sizes of their teams.
  template <typename Cost>
  std::vector<int> Decode(int n_tokens, const Cost& cost) {
    std::vector<int> sizes;
    for (int i = 0; i < n_tokens; ++i) {
      keeper_->Prepare(TeamUse::kDecode);
      sizes.push_back(pool_->team()->size());
      keeper_->Computed(TeamUse::kDecode, cost(sizes.back()));
    }
    return sizes;
  }

  TempTree tree_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<TeamKeeper> keeper_;
};

TEST_F(TeamKeeperTest, PromptAndDecodeHaveTheirOwnNumbers) {
  Make(Options(8, 2));
  EXPECT_EQ(pool_->size(), 8);
  keeper_->Prepare(TeamUse::kPrompt);
  EXPECT_THAT(Nodes(), ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  const auto prompt = pool_->team();
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_THAT(Nodes(), ElementsAre(0, 1)) << "one on each node that has weights";
  keeper_->Prepare(TeamUse::kPrompt);
  EXPECT_EQ(pool_->team(), prompt) << "teams are made once";
  EXPECT_EQ(keeper_->n_changes(), 0U);
}

TEST_F(TeamKeeperTest, FollowsTheQuota) {
  Make(Options(8, 8));
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 8);
  Enter("350000 100000", "0-7");
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_THAT(Nodes(), ElementsAre(0, 0, 1));
  Enter("50000 100000", "0-7");
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 1);
  Enter("max 100000", "0-7");
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 8);
  EXPECT_THAT(keeper_->changes(),
              ElementsAre("8 -> 3 threads: the cgroup grants the time of 3 CPUs now",
                          "3 -> 1 threads: the cgroup grants the time of 1 CPU now",
                          "1 -> 8 threads: the limits of before are back"));
}

TEST_F(TeamKeeperTest, FollowsTheCpuset) {
  Make(Options(8, 8));
  keeper_->Prepare(TeamUse::kDecode);
  Enter("max 100000", "5-6");
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_THAT(Nodes(), ElementsAre(1, 1));
  EXPECT_THAT(keeper_->changes(), ElementsAre("8 -> 2 threads: the cpuset has 2 CPUs now"));
  Enter("max 100000", "90-95");  // none of those that we know
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 8) << "better than none";
}

TEST_F(TeamKeeperTest, AListKeepsToItsCpus) {
  TeamKeeperOptions options = Options(3, 3);
  options.pin = ParsePin("7,2,6").value();
  Make(options);
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_THAT(Nodes(), ElementsAre(1, 0, 1));
  Enter("max 100000", "0-3");
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_THAT(Nodes(), ElementsAre(0)) << "CPU 2 is what is left of the list";
}

TEST_F(TeamKeeperTest, ProcessesShareCores) {
  const std::string table = tree_.Path("cores");
  TeamKeeperOptions options = Options(8, 8);
  options.lease_path = table;
  Make(options);
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 8);
  {
    CoreLeaseOptions other;
    other.path = table;
    other.claim = {.cpus = {0, 1, 2, 3, 4, 5, 6, 7}, .wanted = 8};
    const auto lease = CoreLease::Join(other).value();
    keeper_->Prepare(TeamUse::kDecode);
    EXPECT_EQ(pool_->team()->size(), 8) << "it does not generate";
    ASSERT_TRUE(lease->SetActive(true));
    keeper_->Prepare(TeamUse::kDecode);
    EXPECT_EQ(pool_->team()->size(), 4);
    EXPECT_EQ(lease->cpus().size(), 4U);
    keeper_->Rest();
    lease->Refresh();
    EXPECT_EQ(lease->cpus().size(), 8U) << "who rests holds nothing";
    keeper_->Prepare(TeamUse::kDecode);
    EXPECT_EQ(pool_->team()->size(), 4);
  }
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 8);
  ASSERT_FALSE(keeper_->changes().empty());
  EXPECT_EQ(keeper_->changes().front(), "8 -> 4 threads: 2 processes share the cores");
}

// As by `taskset -ap`.
TEST_F(TeamKeeperTest, KeepsToTheAffinityThatSomebodyGivesItsThreads) {
  const Machine machine = DetectMachine().value();
  if (machine.cpus.size() < 2) GTEST_SKIP() << "there is only one CPU";
  const unsigned first = machine.cpus[0].os_index;
  const unsigned second = machine.cpus[1].os_index;
  Enter("max 100000", fmt::format("{},{}", first, second));
  TeamKeeperOptions options = Options(2, 2);
  options.machine = machine;
  options.machine.cpus.resize(2);
  options.nodes = {};
  Make(options);
  const CpuMask before = AffinityOf(ThisThreadId()).value();
  const auto give_all = [&](const CpuMask& mask) {
    for (const pid_t thread : pool_->thread_ids()) ASSERT_TRUE(SetAffinity(thread, mask));
  };
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 2);
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(keeper_->n_changes(), 0U) << "its own pinning is no news";
  CpuMask one = before;
  std::ranges::fill(one.words, 0);
  one.words[second / 64] = 1UL << second % 64;
  give_all(one);
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 1);
  give_all(before);
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team()->size(), 2);
  EXPECT_THAT(keeper_->changes(),
              testing::Contains("2 -> 1 threads: their affinity has 1 CPU now"));
  ASSERT_TRUE(SetAffinity(ThisThreadId(), before));
}

// Memory is saturated by four threads, and each further one costs 5 %.
double SaturatedByFour(int threads) {
  return threads < 4 ? 4.0 / threads : 1 + 0.05 * (threads - 4);
}

TEST_F(TeamKeeperTest, DecodeGetsFewerThreadsWhereTheyAreFaster) {
  TeamKeeperOptions options = Options(8, 8);
  options.tune_decode = true;
  Make(options);
  keeper_->Prepare(TeamUse::kPrompt);
  keeper_->Computed(TeamUse::kPrompt, 1);
  EXPECT_THAT(Decode(8, SaturatedByFour), ElementsAre(8, 8, 8, 6, 6, 6, 8, 8));
  EXPECT_EQ(keeper_->threads(TeamUse::kDecode), 8);
  Decode(3 * ThreadTuner::kMostTokensOfTrial, SaturatedByFour);
  EXPECT_EQ(keeper_->threads(TeamUse::kDecode), 4);
  EXPECT_THAT(Nodes(), ElementsAre(0, 0, 1, 1));
  const auto decode = pool_->team();
  keeper_->Prepare(TeamUse::kPrompt);
  EXPECT_EQ(pool_->team()->size(), 8);
  keeper_->Prepare(TeamUse::kDecode);
  EXPECT_EQ(pool_->team(), decode) << "teams are made once";
  EXPECT_EQ(keeper_->n_changes(), 0U) << "nothing happened to it";
  ASSERT_TRUE(keeper_->tuner());
  EXPECT_TRUE(keeper_->tuner()->settled());
  EXPECT_NEAR(keeper_->tuner()->speedup(), 1.2, 1e-9);
}

TEST_F(TeamKeeperTest, TeamsThatAreTriedInTurnAreMadeOnce) {
  TeamKeeperOptions options = Options(8, 8);
  options.tune_decode = true;
  Make(options);
  std::set<std::shared_ptr<const Team>> teams;
  for (int i = 0; i < 20; ++i) {
    keeper_->Prepare(TeamUse::kDecode);
    teams.insert(pool_->team());
    keeper_->Computed(TeamUse::kDecode, 1);
  }
  EXPECT_EQ(teams.size(), 2U);
}

TEST_F(TeamKeeperTest, DecodeKeepsTheThreadsThatItWasGiven) {
  Make(Options(8, 8));
  EXPECT_THAT(Decode(60, SaturatedByFour), testing::Each(8));
  EXPECT_FALSE(keeper_->tuner());
}

TEST_F(TeamKeeperTest, TriesAnewOnOtherCpus) {
  TeamKeeperOptions options = Options(8, 8);
  options.tune_decode = true;
  Make(options);
  const auto faster_with_fewer = [](int threads) { return 1.0 * threads; };
  Decode(200, faster_with_fewer);
  EXPECT_EQ(keeper_->threads(TeamUse::kDecode), 3);
  Enter("500000 100000", "0-7");
  Decode(1, faster_with_fewer);
  EXPECT_EQ(keeper_->threads(TeamUse::kDecode), 5);
  EXPECT_EQ(keeper_->tuner()->most(), 5);
  EXPECT_FALSE(keeper_->tuner()->settled());
  Decode(200, [](int threads) { return 1.0 / threads; });
  EXPECT_EQ(keeper_->threads(TeamUse::kDecode), 5);
  EXPECT_TRUE(keeper_->tuner()->settled());
  Enter("500000 100000", "1-7");
  Decode(1, faster_with_fewer);
  EXPECT_FALSE(keeper_->tuner()->settled()) << "as many, but elsewhere";
  Enter("max 100000", "4-7");
  Decode(200, faster_with_fewer);
  EXPECT_THAT(Nodes(), ElementsAre(1, 1, 1)) << "not the three of before";
  EXPECT_THAT(keeper_->changes(),
              ElementsAre("8 -> 5 threads: the cgroup grants the time of 5 CPUs now",
                          "5 -> 4 threads: the cpuset has 4 CPUs now"));
}

TEST_F(TeamKeeperTest, WhatWasFoundOutOutlivesARest) {
  TeamKeeperOptions options = Options(8, 8);
  options.lease_path = tree_.Path("cores");
  options.tune_decode = true;
  Make(options);
  Decode(200, SaturatedByFour);
  keeper_->Rest();
  EXPECT_THAT(Decode(20, SaturatedByFour), testing::Each(4));
}

TEST_F(TeamKeeperTest, CountsHowOftenTheQuotaStoppedUs) {
  tree_.Write("cgroup/box/cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_usec 100000\n");
  Make(Options(2, 2));
  EXPECT_EQ(keeper_->throttled().periods, 0U);
  tree_.Write("cgroup/box/cpu.stat", "nr_periods 19\nnr_throttled 7\nthrottled_usec 1600000\n");
  EXPECT_EQ(keeper_->throttled().periods, 3U);
  EXPECT_NEAR(keeper_->throttled().seconds, 1.5, 1e-9);
}

}  // namespace
}  // namespace llmrun
