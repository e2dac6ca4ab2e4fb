#include "sched/barrier.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace llmrun {
namespace {

struct BarrierCase {
  int threads;
  uint32_t spin_ns;
};

class BarrierTest : public testing::TestWithParam<BarrierCase> {};

// Plain slots, so that ThreadSanitizer sees every missing happens-before edge.
TEST_P(BarrierTest, NobodyLeavesBeforeEverybodyCame) {
  const auto [threads, spin_ns] = GetParam();
  const int generations = 2000 / threads;
  Barrier barrier(threads, spin_ns);
  std::vector<int> slots(static_cast<size_t>(threads), -1);
  std::vector<int> mismatches(static_cast<size_t>(threads), 0);
  std::vector<std::thread> team;
  for (int member = 0; member < threads; ++member) {
    team.emplace_back([&, member] {
      const auto me = static_cast<size_t>(member);
      for (int g = 0; g < generations; ++g) {
        slots[me] = g;
        barrier.ArriveAndWait(member);
        for (int slot : slots) mismatches[me] += slot != g;
        barrier.ArriveAndWait(member);
      }
    });
  }
  for (std::thread& t : team) t.join();
  EXPECT_EQ(mismatches, std::vector<int>(static_cast<size_t>(threads), 0));
}

INSTANTIATE_TEST_SUITE_P(Teams, BarrierTest,
                         testing::Values(BarrierCase{1, 20'000}, BarrierCase{2, 0},
                                         BarrierCase{2, 1}, BarrierCase{2, 20'000},
                                         BarrierCase{3, 500}, BarrierCase{5, 0},
                                         BarrierCase{8, 20'000}, BarrierCase{16, 0},
                                         BarrierCase{16, 2'000}, BarrierCase{17, 20'000}),
                         [](const auto& test) {
                           return std::to_string(test.param.threads) + "threads_spin" +
                                  std::to_string(test.param.spin_ns);
                         });

}  // namespace
}  // namespace llmrun
