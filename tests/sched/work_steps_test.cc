#include "sched/work_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
      const uint64_t first = pool->steps().count();
      pool->Run([&](int index) {
        WorkSteps::Member member(pool->steps(), index, first);
        int64_t now = round;
        for (const int64_t size : sizes) {
          ++now;
          member.Step(kMostUnits, 1 + size % 7, [&](Range piece) {
            for (int64_t i = piece.begin; i < piece.end; ++i) {
              wrong[static_cast<size_t>(index)] += value[static_cast<size_t>(i)]++ != now - 1;
            }
          });
          member.Step(size, 3, [&](Range piece) {
            for (int64_t i = piece.begin; i < piece.end; ++i) {
              // Of another member, most likely.
              const auto other = static_cast<size_t>((i * 7 + 11) % kMostUnits);
              wrong[static_cast<size_t>(index)] += value[other] != now;
            }
          });
        }
      });
      round += static_cast<int64_t>(sizes.size());
      const auto empty = std::ranges::count(sizes, 0);
      EXPECT_EQ(pool->steps().count() - first, 2 * sizes.size() - static_cast<size_t>(empty));
    }
    EXPECT_THAT(wrong, Each(0));
    EXPECT_THAT(value, Each(round));
  }
}

INSTANTIATE_TEST_SUITE_P(Members, TeamSizes, testing::Values(1, 2, 3, 5, 8, 16));

TEST(WorkSteps, AMemberThatComesLateIsNotWaitedFor) {
  const auto pool = ThreadPool::Create({.threads = 2, .cpus = {}, .effective_cpus = 2}).value();
  constexpr int kSteps = 500;
  Latch over;
  std::vector<int> done(2);
  const uint64_t first = pool->steps().count();
  pool->Run([&](int index) {
    if (index == 1) over.Wait();
    WorkSteps::Member member(pool->steps(), index, first);
    for (int i = 0; i < kSteps; ++i) {
      member.Step(10, 1, [&](Range piece) { done[static_cast<size_t>(index)] += piece.size(); });
      member.Once([&] { ++done[static_cast<size_t>(index)]; });
    }
    if (index == 0) over.Open();
  });
  EXPECT_THAT(done, ElementsAre(11 * kSteps, 0));
}

TEST(WorkSteps, APieceThatIsHeldIsWaitedForAndNothingElse) {
  const auto pool = ThreadPool::Create({.threads = 2, .cpus = {}, .effective_cpus = 2}).value();
  Latch held;
  Latch release;
  int64_t held_size = 0;
  std::atomic<int64_t> others{0};
  std::atomic<bool> second_step{false};
  const uint64_t first = pool->steps().count();
  pool->Run([&](int index) {
    WorkSteps::Member member(pool->steps(), index, first);
    if (index == 0) held.Wait();  // so that the other one takes the first piece
    member.Step(100, 1, [&](Range piece) {
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
    member.Once([&] { second_step = true; });
  });
  EXPECT_TRUE(second_step);
  EXPECT_EQ(others + held_size, 100);
  EXPECT_LE(held_size, 100 / 2 / 3 + 1) << "a third of a home, not all of it";
}

TEST(WorkSteps, ThoseOfTheSameNodeAreHelpedFirst) {
  WorkSteps steps({0U, 1U, 1U, 0U}, 0);
  WorkSteps::Member only(steps, 0, 0);
  std::vector<int64_t> order;
  only.Step(4, 1, [&](Range piece) { order.push_back(piece.begin); });
  EXPECT_THAT(order, ElementsAre(0, 3, 1, 2));
}

TEST(WorkSteps, HomesMayLieAnywhere) {
  WorkSteps steps(NoNodes(3), 0);
  WorkSteps::Member only(steps, 1, 0);
  const std::vector<Range> homes = {{40, 50}, {0, 0}, {0, 40}};
  std::vector<int> seen(50);
  only.Step(
      50, 8, [&](int member) { return homes[static_cast<size_t>(member)]; },
      [&](Range piece) {
        EXPECT_TRUE(piece.begin >= 40 || piece.begin % 8 == 0);
        for (int64_t i = piece.begin; i < piece.end; ++i) ++seen[static_cast<size_t>(i)];
      });
  EXPECT_THAT(seen, Each(1));
}

}  // namespace
}  // namespace llmrun
