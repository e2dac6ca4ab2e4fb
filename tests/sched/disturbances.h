// What keeps threads from running when they want to: another program on a CPU, members stopped in
// the middle of anything, the whole process stopped, a CPU quota. For tests of pools, which may
// take longer under them but must not hang.
//
// Only threads that run are stopped: a signal ends a thread's sleep, and with it the hang that is
// looked for.
//
// Threads: Thread-compatible. Failure: CpuQuota says whether it is there; a hang ends the process.
#pragma once

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/sanitizer.h"

namespace llmrun {

inline constexpr unsigned kHangSeconds = kAnySanitizer ? 400 : 120;

// A pool that hangs must not hang the test run.
class Watchdog {
 public:
  Watchdog();
  ~Watchdog();

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool done_ = false;
  std::thread thread_;  // the last member: it uses the others
};

// Takes a CPU for itself, as another program would.
class Burner {
 public:
  explicit Burner(unsigned cpu);
  ~Burner();

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// A thread cannot be stopped alone by SIGSTOP, but it can be kept in a handler: while this exists,
// that of SIGUSR1 naps, in this process and in children that it forks.
class NapOnSignal {
 public:
  NapOnSignal();
  ~NapOnSignal();

 private:
  struct sigaction before_ = {};
};

// Stops members (threads of this process, by their kernel ids) one at a time, wherever they are.
class MemberStopper {
 public:
  MemberStopper(const std::vector<pid_t>& ids, unsigned seed);
  ~MemberStopper();

 private:
  const NapOnSignal nap_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// Runs work() in a child process, which exits with what it returns. Returns the child's pid.
// Requires: no threads yet (TSan wants none in a child of several).
template <typename Work>
pid_t StartChild(const Work& work) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::alarm(kHangSeconds);  // its watchdog
  ::_exit(work());
}

// Stops a child until it ends: all of it now and then, and, if its threads nap (it was started
// under a NapOnSignal), more often one of them. Returns its wait status.
int StopUntilItEnds(pid_t child, bool threads_nap, unsigned seed);

// A cgroup with that part of one CPU, of version 2 or 1.
class CpuQuota {
 public:
  explicit CpuQuota(int percent);
  ~CpuQuota();
  bool exists() const { return !path_.empty(); }
  bool Enter() const;  // the calling process

 private:
  std::string path_;
};

}  // namespace llmrun
