// Futexes that return for no reason, too early or always: sched/progress.h must not mind.
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sched/native_waiting.h"
#include "sched/progress.h"
#include "sched/team.h"
#include "sched/work_steps.h"

namespace llmrun {
namespace {

enum class FutexFault {
  kEarly,   // a call in two returns at once (EINTR, EAGAIN)
  kTimer,   // a call sleeps for 50 us at most: wakes up with nobody having woken it
  kAbsent,  // no futexes at all (ENOSYS, seccomp): waiting becomes polling
};

template <FutexFault fault>
struct FaultyWaiting : NativeWaiting {
  // Two that poll on one CPU pass a turn once a time slice.
  static constexpr uint64_t kTurns = fault == FutexFault::kAbsent ? 40 : 1'000;
  static inline std::atomic<unsigned> threads{0};

  static void FutexWait(const std::atomic<uint32_t>& word, uint32_t expected) {
    thread_local std::mt19937 random(threads.fetch_add(1));
    if (fault == FutexFault::kEarly && random() % 2 == 0) {
      NativeWaiting::FutexWait(word, expected);
    } else if (fault == FutexFault::kTimer) {
      const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(random() % 50'000)};
      ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, &time, nullptr, 0);
    }
  }
  static void FutexWakeAll(const std::atomic<uint32_t>& word) {
    if (fault != FutexFault::kAbsent) NativeWaiting::FutexWakeAll(word);
  }
};

template <typename Waiting>
class FutexFaults : public testing::Test {};

struct FaultName {
  template <typename Waiting>
  static std::string GetName(int index) {
    return std::vector<std::string>{"Early", "Timer", "Absent"}[static_cast<size_t>(index)];
  }
};
using Faults = testing::Types<FaultyWaiting<FutexFault::kEarly>, FaultyWaiting<FutexFault::kTimer>,
                              FaultyWaiting<FutexFault::kAbsent>>;
TYPED_TEST_SUITE(FutexFaults, Faults, FaultName);

TYPED_TEST(FutexFaults, PingPong) {
  for (const uint32_t spin_ns : {0U, 1'000U, 20'000U}) {
    BasicProgress<TypeParam> ping;
    BasicProgress<TypeParam> pong;
    constexpr uint64_t kTurns = TypeParam::kTurns;
    uint64_t token = 0;
    std::thread other([&] {
      WaitSite site(spin_ns);
      for (uint64_t i = 1; i <= kTurns; ++i) {
        ping.Await(i, site);
        ++token;
        pong.Add(1, i);
      }
    });
    WaitSite site(spin_ns);
    for (uint64_t i = 1; i <= kTurns; ++i) {
      ++token;
      ping.Add(1, i);
      pong.Await(i, site);
      ASSERT_EQ(token, 2 * i);
    }
    other.join();
  }
}

// Teams of other members and groups in each pass; the threads of a pass come when they come.
TYPED_TEST(FutexFaults, StepsOfTeamsThatChange) {
  constexpr int kMembers = 4;
  constexpr int kPasses = 200;
  constexpr int kSteps = 5;
  std::mt19937 random(11);
  BasicWorkSteps<TypeParam> steps(kMembers, 1'000);
  std::vector<int> value(41);
  std::vector<int> wrong(kMembers);
  std::vector<std::unique_ptr<Team>> teams;  // the last one is compared with the next
  for (int pass = 0; pass < kPasses; ++pass) {
    const unsigned nodes = 1 + random() % 2;
    std::vector<std::optional<unsigned>> node_of;
    std::vector<double> weights = {1};
    for (unsigned i = 0; i < kMembers; ++i) node_of.emplace_back(i % nodes);
    for (int i = 1; i < kMembers; ++i) weights.push_back(random() % 3 == 0 ? 0 : 1);
    teams.push_back(std::make_unique<Team>(node_of, weights));
    const Team& team = *teams.back();
    const StepPlan plan = team.Deal(0, 41, 1 + random() % 3);
    steps.Begin(team);
    std::vector<std::thread> threads;
    for (int i = 0; i < kMembers; ++i) {
      if (!team.works(i)) continue;
      threads.emplace_back([&, i] {
        typename BasicWorkSteps<TypeParam>::Member member(steps, i);
        for (int step = 0; step < kSteps; ++step) {
          member.Step(plan, [&](Range piece) {
            for (int64_t at = piece.begin; at < piece.end; ++at) {
              int& mine = value[static_cast<size_t>((at * 7 + step) % 41)];
              wrong[static_cast<size_t>(i)] += mine != pass * kSteps + step;
              ++mine;
            }
          });
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(wrong, std::vector<int>(kMembers, 0));
  EXPECT_EQ(value, std::vector<int>(41, kPasses * kSteps));
}

}  // namespace
}  // namespace llmrun
