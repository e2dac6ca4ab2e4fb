#include "tests/sched/disturbances.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>
#include <system_error>

#include "base/small_file.h"
#include "sched/affinity.h"

namespace llmrun {
namespace {

void SleepUpTo(unsigned us, std::mt19937& random) {
  std::this_thread::sleep_for(std::chrono::microseconds(random() % us));
}

// Those of a process that run, or would on a free CPU.
std::vector<pid_t> RunningThreads(pid_t process) {
  std::vector<pid_t> running;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  std::error_code error;
  for (std::filesystem::directory_iterator task(tasks, error), end; !error && task != end;
       task.increment(error)) {
    const std::string stat = SmallFileOrEmpty(task->path().string() + "/stat");
    const size_t name_end = stat.rfind(')');
    if (name_end == stat.npos || stat.compare(name_end, 3, ") R") != 0) continue;
    running.push_back(std::stoi(task->path().filename().string()));
  }
  return running;
}

void Nap(pid_t process, pid_t thread) { ::syscall(SYS_tgkill, process, thread, SIGUSR1); }

void OnSignal(int /*signal*/) {
  const timespec nap{.tv_sec = 0, .tv_nsec = 300'000};
  ::nanosleep(&nap, nullptr);
}

bool SetQuota(const std::string& group, int percent) {
  constexpr int kPeriodUs = 10'000;
  const std::string period_us = std::to_string(kPeriodUs);
  const std::string quota_us = std::to_string(kPeriodUs / 100 * percent);
  if (WriteSmallFile(group + "/cpu.max", quota_us + " " + period_us)) return true;
  return WriteSmallFile(group + "/cpu.cfs_period_us", period_us) &&
         WriteSmallFile(group + "/cpu.cfs_quota_us", quota_us);
}

}  // namespace

Watchdog::Watchdog()
    : thread_([this] {
        std::unique_lock lock(mutex_);
        if (over_.wait_for(lock, std::chrono::seconds(kHangSeconds), [this] { return done_; })) {
          return;
        }
        std::fputs("the pool hangs: a wake-up was lost\n", stderr);
        std::abort();
      }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  over_.notify_one();
  thread_.join();
}

Burner::Burner(unsigned cpu)
    : thread_([this, cpu] {
        (void)PinToCpu(ThisThreadId(), cpu);
        while (!stop_.load(std::memory_order_relaxed)) {
        }
      }) {}

Burner::~Burner() {
  stop_ = true;
  thread_.join();
}

NapOnSignal::NapOnSignal() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  ::sigaction(SIGUSR1, &action, &before_);
}

NapOnSignal::~NapOnSignal() {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;  // drops signals that are still on their way
  ::sigaction(SIGUSR1, &ignore, nullptr);
  ::sigaction(SIGUSR1, &before_, nullptr);
}

MemberStopper::MemberStopper(const std::vector<pid_t>& ids, unsigned seed)
    : thread_([this, ids, seed] {
        std::mt19937 random(seed);
        while (!stop_.load(std::memory_order_relaxed)) {
          std::vector<pid_t> running = RunningThreads(::getpid());
          std::erase_if(running, [&](pid_t id) { return std::ranges::count(ids, id) == 0; });
          if (!running.empty()) Nap(::getpid(), running[random() % running.size()]);
          SleepUpTo(700, random);
        }
      }) {}

MemberStopper::~MemberStopper() {
  stop_ = true;
  thread_.join();
}

int StopUntilItEnds(pid_t child, bool threads_nap, unsigned seed) {
  std::mt19937 random(seed);
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    const std::vector<pid_t> running = RunningThreads(child);
    if (running.empty()) {
      SleepUpTo(200, random);
    } else if (threads_nap && random() % 8 != 0) {
      Nap(child, running[random() % running.size()]);
      SleepUpTo(2'000, random);
    } else {
      ::kill(child, SIGSTOP);
      SleepUpTo(2'000, random);
      ::kill(child, SIGCONT);
      SleepUpTo(threads_nap ? 2'000 : 8'000, random);
    }
  }
  return status;
}

CpuQuota::CpuQuota(int percent) {
  const std::string name = "llmrun-stress-" + std::to_string(::getpid());
  for (const std::string root : {"/sys/fs/cgroup/", "/sys/fs/cgroup/cpu/"}) {
    std::error_code error;
    if (!std::filesystem::exists(root + "cgroup.procs")) continue;
    if (!std::filesystem::create_directory(root + name, error)) continue;
    path_ = root + name;
    if (SetQuota(path_, percent)) return;
    ::rmdir(path_.c_str());
    path_.clear();
  }
}

CpuQuota::~CpuQuota() {
  if (exists()) ::rmdir(path_.c_str());
}

bool CpuQuota::Enter() const { return WriteSmallFile(path_ + "/cgroup.procs", "0").has_value(); }

}  // namespace llmrun
