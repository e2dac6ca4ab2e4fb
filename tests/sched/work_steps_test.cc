#include "sched/work_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "sched/latch.h"
#include "sched/thread_pool.h"

namespace llmrun {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<std::optional<unsigned>> NoNodes(int members) {
  return std::vector<std::optional<unsigned>>(static_cast<size_t>(members));
}

class TeamSizes : public testing::TestWithParam<int> {};

// Plain slots, so that ThreadSanitizer sees every missing happens-before edge.
TEST_P(TeamSizes, EachStepDoesAllOfItsWorkOnceAndSeesTheLast) {
  const int members = GetParam();
  for (const uint32_t spin_ns : {0U, 20'000U}) {
    const auto pool = ThreadPool::Create(
                          {.threads = members, .cpus = {}, .spin_ns = spin_ns, .effective_cpus = 2})
                          .value();
    constexpr int64_t kMostUnits = 300;
    std::vector<int64_t> value(kMostUnits, 0);
    std::vector<int64_t> wrong(static_cast<size_t>(members), 0);
    std::mt19937 random(static_cast<unsigned>(members));
    int64_t round = 0;
    for (int region = 0; region < 5; ++region) {
      std::vector<int64_t> sizes(60);
      for (int64_t& size : sizes) size = random() % 4 == 0 ? 0 : 1 + random() % kMostUnits;
      std::vector<StepPlan> all_plans;
      std::vector<StepPlan> plans;
      for (const int64_t size : sizes) {
        all_plans.push_back(pool->team()->Deal(0, kMostUnits, 1 + size % 7));
        plans.push_back(pool->team()->Deal(1, size, 3));
      }
      pool->RunSteps([&](int index) {
        WorkSteps::Member member(pool->steps(), index);
        int64_t now = round;
        for (size_t i_size = 0; i_size < sizes.size(); ++i_size) {
          ++now;
          member.Step(all_plans[i_size], [&](Range piece) {
            for (int64_t i = piece.begin; i < piece.end; ++i) {
              wrong[static_cast<size_t>(index)] += value[static_cast<size_t>(i)]++ != now - 1;
            }
          });
          member.Step(plans[i_size], [&](Range piece) {
            for (int64_t i = piece.begin; i < piece.end; ++i) {
              // Of another member, most likely.
              const auto other = static_cast<size_t>((i * 7 + 11) % kMostUnits);
              wrong[static_cast<size_t>(index)] += value[other] != now;
            }
          });
        }
      });
      round += static_cast<int64_t>(sizes.size());
    }
    EXPECT_THAT(wrong, Each(0));
    EXPECT_THAT(value, Each(round));
  }
}

INSTANTIATE_TEST_SUITE_P(Members, TeamSizes, testing::Values(1, 2, 3, 5, 8, 16));

std::unique_ptr<ThreadPool> Two() {
  return ThreadPool::Create({.threads = 2, .cpus = {}, .effective_cpus = 2}).value();
}

TEST(WorkSteps, AMemberThatComesLateIsNotWaitedFor) {
  const auto pool = Two();
  constexpr int kSteps = 500;
  const StepPlan ten = pool->team()->Deal(0, 10, 1);
  const StepPlan once = pool->team()->Single(1);
  Latch over;
  std::vector<int> done(2);
  pool->RunSteps([&](int index) {
    if (index == 1) over.Wait();
    WorkSteps::Member member(pool->steps(), index);
    for (int i = 0; i < kSteps; ++i) {
      member.Step(ten, [&](Range piece) { done[static_cast<size_t>(index)] += piece.size(); });
      member.Step(once, [&](Range) { ++done[static_cast<size_t>(index)]; });
    }
    if (index == 0) over.Open();
  });
  EXPECT_THAT(done, ElementsAre(11 * kSteps, 0));
  EXPECT_EQ(pool->steps().counts(0)[0].units, 5U * kSteps);
  EXPECT_EQ(pool->steps().counts(0)[0].helped_units, 5U * kSteps);
  EXPECT_EQ(pool->steps().counts(0)[0].steps, uint64_t{kSteps});
  EXPECT_EQ(pool->steps().counts(1)[0].steps, 0U);
}

TEST(WorkSteps, APieceThatIsHeldIsWaitedForAndNothingElse) {
  const auto pool = Two();
  const StepPlan hundred = pool->team()->Deal(0, 100, 1);
  const StepPlan once = pool->team()->Single(1);
  Latch held;
  Latch release;
  int64_t held_size = 0;
  std::atomic<int64_t> others{0};
  std::atomic<bool> second_step{false};
  pool->RunSteps([&](int index) {
    if (index == 0) held.Wait();  // so that the other one takes the first piece
    WorkSteps::Member member(pool->steps(), index);
    member.Step(hundred, [&](Range piece) {
      if (index == 1 && held_size == 0) {
        held_size = piece.size();
        held.Open();
        release.Wait();
        EXPECT_FALSE(second_step) << "the step was not over";
        return;
      }
      others += piece.size();
      if (others + held_size == 100) release.Open();
    });
    member.Step(once, [&](Range) { second_step = true; });
  });
  EXPECT_TRUE(second_step);
  EXPECT_EQ(others + held_size, 100);
  EXPECT_LE(held_size, 100 / 2 / 3 + 1) << "a third of a home, not all of it";
}

TEST(WorkSteps, ThoseOfTheSameNodeAreHelpedFirst) {
  const Team team({0U, 1U, 1U, 0U}, {1, 1, 1, 1});
  WorkSteps steps(4, 0);
  steps.Begin(team);
  WorkSteps::Member only(steps, 0);
  std::vector<int64_t> order;
  only.Step(team.Deal(0, 4, 1), [&](Range piece) { order.push_back(piece.begin); });
  EXPECT_THAT(order, ElementsAre(0, 3, 1, 2));
}

// Two nodes: counts go through groups, which one member alone serves here.
TEST(WorkSteps, OneMemberDoesTheWorkOfAllNodes) {
  const Team team({0U, 0U, 1U, 1U}, {1, 1, 1, 1});
  ASSERT_EQ(team.n_groups(), 2);
  WorkSteps steps(4, 0);
  const StepPlan plan = team.Deal(0, 40, 3);
  for (int pass = 0; pass < 3; ++pass) {
    steps.Begin(team);
    WorkSteps::Member only(steps, 2);
    for (int i = 0; i < 5; ++i) {
      std::vector<int> seen(40);
      only.Step(plan, [&](Range piece) {
        for (int64_t at = piece.begin; at < piece.end; ++at) ++seen[static_cast<size_t>(at)];
      });
      EXPECT_THAT(seen, Each(1));
    }
  }
}

// Members of several groups, benched and called back between passes.
TEST(WorkSteps, TeamsChangeBetweenPasses) {
  ThreadPoolOptions options{.threads = 6, .cpus = {}, .spin_ns = 2'000, .effective_cpus = 6};
  const auto pool = ThreadPool::Create(options).value();
  std::mt19937 random(7);
  std::vector<int64_t> value(97);
  int64_t round = 0;
  for (int pass = 0; pass < 200; ++pass) {
    std::vector<std::optional<unsigned>> nodes;
    std::vector<double> weights = {1};
    for (int i = 0; i < 6; ++i) nodes.push_back(static_cast<unsigned>(i / 2));
    for (int i = 1; i < 6; ++i) weights.push_back(random() % 3 == 0 ? 0 : 1.0 / (1 + random() % 3));
    pool->SetTeam(std::make_shared<Team>(nodes, weights));
    const StepPlan plan = pool->team()->Deal(0, 97, 1 + random() % 5);
    std::atomic<int64_t> wrong{0};
    std::atomic<int> benched{0};
    pool->RunSteps([&](int index) {
      if (!pool->team()->works(index)) ++benched;
      WorkSteps::Member member(pool->steps(), index);
      for (int s = 0; s < 7; ++s) {
        member.Step(plan, [&](Range piece) {
          for (int64_t i = piece.begin; i < piece.end; ++i) {
            if (value[static_cast<size_t>(i)]++ != round + s) ++wrong;
          }
        });
      }
    });
    round += 7;
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(benched, 0);
  }
  EXPECT_THAT(value, Each(round));
}

// Three stages: each piece waits for the two before it, as far as they are of the stage before.
TEST_P(TeamSizes, StagesFollowWhatTheyNeedAndAreOneStep) {
  const int members = GetParam();
  constexpr int64_t kUnits = 64;
  constexpr int kSteps = 200;
  for (const uint32_t spin_ns : {0U, 20'000U}) {
    const auto pool = ThreadPool::Create(
                          {.threads = members, .cpus = {}, .spin_ns = spin_ns, .effective_cpus = 2})
                          .value();
    const StepPlan made_of = pool->team()->Deal(0, kUnits, 1);
    const StepPlan none = pool->team()->Deal(1, 0, 1);
    const StepPlan used_by = pool->team()->Deal(2, kUnits, 3);
    const uint64_t steps_before = pool->steps().steps();
    std::vector<Progress> made(kUnits);
    std::vector<int64_t> first(kUnits, 0);
    std::vector<int64_t> second(kUnits, 0);
    std::vector<int64_t> wrong(static_cast<size_t>(members), 0);
    pool->RunSteps([&](int index) {
      WorkSteps::Member member(pool->steps(), index);
      int64_t& my_wrong = wrong[static_cast<size_t>(index)];
      for (int64_t step = 1; step <= kSteps; ++step) {
        const auto target = static_cast<uint64_t>(step);
        const auto make = [&](Range piece) {
          for (int64_t i = piece.begin; i < piece.end; ++i) {
            first[static_cast<size_t>(i)] = step;
            made[static_cast<size_t>(i)].Add(1, target);
          }
        };
        const auto use = [&](Range piece) {
          for (int64_t i = piece.begin; i < piece.end; ++i) {
            const auto needed = static_cast<size_t>((i * 7 + 11) % kUnits);  // another member's
            member.AwaitInStep(made[needed], target);
            my_wrong += first[needed] != step;
            my_wrong += second[needed]++ != step - 1;
          }
        };
        member.StepInStages(Stage{made_of, make}, Stage{none, make}, Stage{used_by, use});
        member.Step(none, use);
      }
    });
    EXPECT_THAT(wrong, Each(0));
    EXPECT_THAT(first, Each(kSteps));
    EXPECT_THAT(second, Each(kSteps));
    EXPECT_EQ(pool->steps().steps() - steps_before, uint64_t{kSteps});
  }
}

// Whoever is done with a stage goes on while another one still holds a piece of it.
TEST(WorkSteps, AHeldPieceHoldsUpOnlyWhatNeedsIt) {
  const auto pool = Two();
  const StepPlan two = pool->team()->Deal(0, 2, 1);
  Latch used;
  Latch taken;
  Progress made[2];
  std::atomic<int> used_first{-1};
  pool->RunSteps([&](int index) {
    WorkSteps::Member member(pool->steps(), index);
    const auto make = [&](Range piece) {
      if (piece.begin == 1) {
        taken.Open();
        used.Wait();
      } else {
        taken.Wait();
      }
      made[piece.begin].Add(1, 1);
    };
    const auto use = [&](Range piece) {
      member.AwaitInStep(made[piece.begin], 1);
      int none = -1;
      used_first.compare_exchange_strong(none, static_cast<int>(piece.begin));
      used.Open();
    };
    member.StepInStages(Stage{two, make}, Stage{two, use});
  });
  EXPECT_EQ(used_first, 0);
}

TEST(WorkSteps, HomesMayLieAnywhere) {
  const Team team(NoNodes(3), {1, 1, 1});
  WorkSteps steps(3, 0);
  steps.Begin(team);
  WorkSteps::Member only(steps, 1);
  const StepPlan plan{
      .total = 50, .grain = 8, .homes = {{40, 50}, {0, 0}, {0, 40}}, .group_units = {50}};
  std::vector<int> seen(50);
  only.Step(plan, [&](Range piece) {
    EXPECT_TRUE(piece.begin >= 40 || piece.begin % 8 == 0);
    for (int64_t i = piece.begin; i < piece.end; ++i) ++seen[static_cast<size_t>(i)];
  });
  EXPECT_THAT(seen, Each(1));
}

}  // namespace
}  // namespace llmrun
