// The pool where threads do not get the CPU when they want it: too many of them, another program on
// a CPU, members stopped in the middle of anything, the whole process stopped, a CPU quota.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <vector>

#include "base/small_file.h"
#include "sched/affinity.h"
#include "sched/thread_pool.h"
#include "tests/support/sanitizer.h"

namespace llmrun {
namespace {

using std::chrono::microseconds;

// A pool that hangs must not hang the test run.
class Watchdog {
 public:
  Watchdog()
      : thread_([this] {
          std::unique_lock lock(mutex_);
          if (over_.wait_for(lock, std::chrono::seconds(kAnySanitizer ? 400 : 120),
                             [this] { return done_; })) {
            return;
          }
          std::fputs("the pool hangs: a wake-up was lost\n", stderr);
          std::abort();
        }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    over_.notify_one();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool done_ = false;
  std::thread thread_;  // the last member: it uses the others
};

// Takes a CPU for itself, as another program would.
class Burner {
 public:
  explicit Burner(unsigned cpu)
      : thread_([this, cpu] {
          (void)PinToCpu(ThisThreadId(), cpu);
          while (!stop_.load(std::memory_order_relaxed)) {
          }
        }) {}
  ~Burner() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// Stops members one at a time, wherever they are: a thread cannot be stopped alone by SIGSTOP, but
// it can be kept in a signal handler.
class MemberStopper {
 public:
  explicit MemberStopper(const std::vector<pid_t>& ids, unsigned seed) {
    struct sigaction action = {};
    action.sa_handler = [](int) {
      const timespec nap{.tv_sec = 0, .tv_nsec = 300'000};
      ::nanosleep(&nap, nullptr);
    };
    ::sigaction(SIGUSR1, &action, &before_);
    thread_ = std::thread([this, ids, seed] {
      std::mt19937 random(seed);
      while (!stop_.load(std::memory_order_relaxed)) {
        ::syscall(SYS_tgkill, ::getpid(), ids[random() % ids.size()], SIGUSR1);
        std::this_thread::sleep_for(microseconds(random() % 700));
      }
    });
  }
  ~MemberStopper() {
    stop_ = true;
    thread_.join();
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;  // drops signals that are still on their way
    ::sigaction(SIGUSR1, &ignore, nullptr);
    ::sigaction(SIGUSR1, &before_, nullptr);
  }

 private:
  struct sigaction before_ = {};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

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

// Runs pools in a child process. Returns its pid.
template <typename Before>
pid_t StartChild(const Before& before) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  if (!before()) ::_exit(2);
  ::alarm(kAnySanitizer ? 400 : 120);  // its watchdog
  int wrong = 0;
  for (const int threads : {2, 3, 8}) {
    for (const uint32_t spin_ns : {0U, 20'000U}) {
      wrong += UsePool(*PoolOf(threads, spin_ns), spin_ns + 1, Rounds(threads));
    }
  }
  ::_exit(wrong == 0 ? 0 : 1);
}

TEST(PoolStressOfProcess, TheProcessIsStopped) {
  const pid_t child = StartChild([] { return true; });
  ASSERT_GT(child, 0);
  std::mt19937 random(5);
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    ::kill(child, SIGSTOP);
    std::this_thread::sleep_for(microseconds(random() % 2'000));
    ::kill(child, SIGCONT);
    std::this_thread::sleep_for(microseconds(random() % 8'000));
  }
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A cgroup with half a CPU, of version 2 or 1.
class HalfACpu {
 public:
  HalfACpu() {
    const std::string name = "llmrun-stress-" + std::to_string(::getpid());
    for (const std::string root : {"/sys/fs/cgroup/", "/sys/fs/cgroup/cpu/"}) {
      std::error_code error;
      if (!std::filesystem::exists(root + "cgroup.procs")) continue;
      if (!std::filesystem::create_directory(root + name, error)) continue;
      path_ = root + name;
      if (WriteSmallFile(path_ + "/cpu.max", "5000 10000")) return;
      if (WriteSmallFile(path_ + "/cpu.cfs_period_us", "10000") &&
          WriteSmallFile(path_ + "/cpu.cfs_quota_us", "5000")) {
        return;
      }
      Remove();
    }
  }
  ~HalfACpu() { Remove(); }
  bool exists() const { return !path_.empty(); }
  bool Enter() const { return WriteSmallFile(path_ + "/cgroup.procs", "0").has_value(); }

 private:
  void Remove() {
    if (!path_.empty()) ::rmdir(path_.c_str());
    path_.clear();
  }
  std::string path_;
};

TEST(PoolStressOfProcess, UnderACpuQuota) {
  const HalfACpu cgroup;
  if (!cgroup.exists()) GTEST_SKIP() << "no cgroup with a CPU quota can be made here";
  const pid_t child = StartChild([&] { return cgroup.Enter(); });
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "a process may not be put into the cgroup";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace llmrun
