#include "sched/progress.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "sched/futex.h"
#include "sched/monitor_wait.h"
#include "sched/team_progress.h"

namespace llmrun {
namespace {

TEST(Progress, WakesASleeper) {
  Progress progress;
  int payload = 0;
  std::thread waiter([&] {
    WaitSite site(0);
    progress.Await(5, site);
    EXPECT_EQ(payload, 7);
  });
  // Long enough that the waiter usually sleeps; correct either way.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  payload = 7;
  EXPECT_EQ(progress.Add(2, 5), 2U) << "not there yet";
  EXPECT_EQ(progress.Add(3, 5), 5U);
  waiter.join();
  EXPECT_EQ(progress.Load(), 5U);
}

TEST(Progress, DoesNotWaitForWhatHasPassed) {
  Progress progress;
  progress.Add(3, 3);
  WaitSite site(1'000'000);
  progress.Await(1, site);
  progress.Await(3, site);
  EXPECT_EQ(site.waits(), 0U);
  EXPECT_EQ(progress.wakes(), 0U) << "nobody slept";
}

TEST(Progress, RaisingNeverLowers) {
  Progress progress;
  progress.Raise(7);
  progress.Raise(4);
  EXPECT_EQ(progress.Load(), 7U);
}

// A stray wake-up must not pass for progress.
TEST(Progress, SurvivesSpuriousWakeUps) {
  std::atomic<uint32_t> word{1};
  FutexWait(word, 0);  // the word differs: returns at once
  FutexWakeAll(word);  // nobody sleeps: nothing happens

  Progress progress;
  std::atomic<bool> released{false};
  std::thread waiter([&] {
    WaitSite site(0);
    progress.Await(2, site);
    EXPECT_TRUE(released.load());
  });
  for (int i = 0; i < 200; ++i) {
    progress.Raise(1);  // wakes, but is not enough
    std::this_thread::yield();
  }
  released = true;
  progress.Raise(2);
  waiter.join();
}

// Two threads hand one token back and forth; a lost wake-up hangs here.
TEST(Progress, PingPongLosesNothing) {
  for (const uint32_t spin_ns : {0U, 1U, 300U, 5'000U, 50'000U}) {
    Progress ping;
    Progress pong;
    constexpr uint64_t kRounds = 3000;
    std::thread other([&] {
      WaitSite site(spin_ns);
      for (uint64_t i = 1; i <= kRounds; ++i) {
        ping.Await(i, site);
        pong.Add(1, i);
      }
    });
    WaitSite site(spin_ns);
    for (uint64_t i = 1; i <= kRounds; ++i) {
      ping.Add(1, i);
      pong.Await(i, site);
    }
    other.join();
    EXPECT_EQ(pong.Load(), kRounds);
    EXPECT_LE(site.waits(), kRounds);
    EXPECT_LE(site.sleeps(), site.waits());
  }
}

TEST(WaitSite, SpinsForTwiceTheUsualWait) {
  WaitSite site(20'000);
  EXPECT_EQ(site.spin_ns(), 20'000U) << "not learned yet";
  for (int i = 0; i < 100; ++i) site.Waited(5'000, false);
  EXPECT_NEAR(site.spin_ns(), 10'000, 200);
  for (int i = 0; i < 100; ++i) site.Waited(10, false);
  EXPECT_EQ(site.spin_ns(), 2'000U) << "never less than a few looks";
  EXPECT_EQ(site.waits(), 200U);
  EXPECT_EQ(site.waited_ns(), 100U * 5'000 + 100U * 10);
}

TEST(WaitSite, SpinsBrieflyWhereTheSleepComesAnyway) {
  WaitSite site(20'000);
  for (int i = 0; i < 100; ++i) site.Waited(3'000'000, true);
  EXPECT_EQ(site.spin_ns(), 2'000U);
  EXPECT_EQ(site.sleeps(), 100U);
  int tries = 0;
  for (int i = 0; i < 80; ++i) {
    site.Waited(3'000'000, true);
    tries += site.spin_ns() == 20'000 ? 1 : 0;
  }
  EXPECT_EQ(tries, 10) << "whether the sleep still comes";
  for (int i = 0; i < 100; ++i) site.Waited(4'000, false);
  EXPECT_NEAR(site.spin_ns(), 8'000, 200) << "it learns again";
}

TEST(WaitSite, NeverSpinsWhereItMustNot) {
  WaitSite site(0);
  for (int i = 0; i < 100; ++i) site.Waited(5'000, true);
  EXPECT_EQ(site.spin_ns(), 0U);
}

TEST(MonitorWait, ReturnsWhenTheLineIsWrittenOrTheTimeIsOver) {
  if (!CanMonitorWait()) GTEST_SKIP() << "this processor has neither UMWAIT nor MWAITX";
  std::atomic<uint64_t> value{0};
  MonitorWait(value, [] { return false; });  // nobody writes: its deadline ends it
  std::thread writer([&] { value = 1; });
  while (value == 0) MonitorWait(value, [&] { return value != 0; });
  writer.join();
}

TEST(TeamProgress, AGroupPassesItsSumOn) {
  TeamProgress progress(2);
  progress.SetGroups(2);
  // Group 0 has 3 units, group 1 has 2.
  progress.Report(0, 2, 3, 3, 5);
  progress.Report(1, 2, 2, 2, 5);
  EXPECT_FALSE(progress.Reached(0, 5));
  EXPECT_FALSE(progress.Reached(1, 5));
  EXPECT_EQ(progress.Base(), 2U);
  progress.Report(0, 1, 3, 3, 5);
  EXPECT_TRUE(progress.Reached(0, 5));
  EXPECT_TRUE(progress.Reached(1, 5));
}

TEST(TeamProgress, GroupsComeAndGo) {
  TeamProgress progress(3);
  progress.Report(0, 4, 4, 4, 4);
  EXPECT_TRUE(progress.Reached(0, 4));
  progress.SetGroups(3);
  for (int g = 0; g < 3; ++g) EXPECT_TRUE(progress.Reached(g, 4)) << g;
  for (int g = 0; g < 3; ++g) {
    const uint64_t base = progress.GroupBase(g);
    progress.Report(g, 1, 1, base + 1, 7);
  }
  progress.SetGroups(1);
  EXPECT_TRUE(progress.Reached(0, 7));
  EXPECT_FALSE(progress.Reached(0, 8));
}

}  // namespace
}  // namespace llmrun
