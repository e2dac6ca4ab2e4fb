#include "sched/barrier.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "sched/epoch.h"
#include "sched/futex.h"

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
        barrier.ArriveAndWait();
        for (int slot : slots) mismatches[me] += slot != g;
        barrier.ArriveAndWait();
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
                                         BarrierCase{16, 2'000}),
                         [](const auto& test) {
                           return std::to_string(test.param.threads) + "threads_spin" +
                                  std::to_string(test.param.spin_ns);
                         });

TEST(Epoch, WakesASleeper) {
  Epoch epoch;
  int payload = 0;
  std::thread waiter([&] {
    epoch.AwaitChange(0, 0);
    EXPECT_EQ(payload, 7);
  });
  // Long enough that the waiter usually sleeps; correct either way.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  payload = 7;
  epoch.Advance();
  waiter.join();
  EXPECT_EQ(epoch.Load(), 1U);
}

TEST(Epoch, DoesNotWaitForWhatHasPassed) {
  Epoch epoch;
  epoch.Advance();
  epoch.AwaitChange(0, 0);
  epoch.AwaitChange(0, 1'000'000);
}

// A stray wake-up must not pass for an advance.
TEST(Epoch, SurvivesSpuriousWakeUps) {
  std::atomic<uint32_t> word{1};
  FutexWait(word, 0);  // the word differs: returns at once
  FutexWakeAll(word);  // nobody sleeps: nothing happens

  Epoch epoch;
  std::atomic<bool> released{false};
  std::thread waiter([&] {
    epoch.AwaitChange(0, 0);
    EXPECT_TRUE(released.load());
  });
  // The futex word is the first member of Epoch.
  const auto& value = *reinterpret_cast<const std::atomic<uint32_t>*>(&epoch);
  for (int i = 0; i < 200; ++i) {
    FutexWakeAll(value);
    std::this_thread::yield();
  }
  released = true;
  epoch.Advance();
  waiter.join();
}

// Two threads hand one token back and forth; a lost wake-up hangs here.
TEST(Epoch, PingPongLosesNothing) {
  for (uint32_t spin_ns : {0U, 1U, 300U, 5'000U}) {
    Epoch ping;
    Epoch pong;
    constexpr uint32_t kRounds = 3000;
    std::thread other([&] {
      for (uint32_t i = 0; i < kRounds; ++i) {
        ping.AwaitChange(i, spin_ns);
        pong.Advance();
      }
    });
    for (uint32_t i = 0; i < kRounds; ++i) {
      ping.Advance();
      pong.AwaitChange(i, spin_ns);
    }
    other.join();
    EXPECT_EQ(pong.Load(), kRounds);
  }
}

}  // namespace
}  // namespace llmrun
