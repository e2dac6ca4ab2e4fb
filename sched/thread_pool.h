// A persistent team of threads that runs one region at a time. The caller is member 0; the others
// are pinned and wait between regions, first spinning briefly and then asleep on a futex (no
// wake-up call is made when nobody sleeps). A part of them can be benched: they sleep until they
// are wanted again.
//
// Threads: Single-thread (one caller at a time). Failure: Create() fails with kOs when threads
// cannot be made; pinning that is refused (EPERM, EINVAL in containers) is kept in pin_failures()
// and otherwise harmless.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/function_ref.h"
#include "sched/sched_policy.h"
#include "sched/team.h"
#include "sched/wait_site.h"
#include "sched/work_steps.h"

namespace llmrun {

struct ThreadPoolOptions {
  int threads = 1;                   // members, the caller included; 1..kMaxThreads
  std::vector<unsigned> cpus;        // member i is pinned to cpus[i % size]; empty: not pinned
  std::vector<unsigned> nodes = {};  // [cpus] the NUMA node of each; empty: not known
  bool pin_caller = false;           // pin member 0 too; its affinity is restored on destruction
  // How long a waiter spins before it sleeps, at most; 0: sleep at once. Forced to 0 when threads
  // exceed the effective CPUs below.
  uint32_t spin_ns = kOwnCpuSpinNs;
  int effective_cpus = 1;
  // Of all members; the caller's own comes back on destruction. Create() fails as
  // ApplySchedPolicy() does. nullopt: as they are.
  std::optional<SchedPolicy> policy = {};
};

class ThreadPool {
 public:
  static constexpr int kMaxThreads = 1024;
  static Result<std::unique_ptr<ThreadPool>> Create(const ThreadPoolOptions& options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;
  // The NUMA node of the CPU a member was pinned to at first; nullopt where it is not, or not
  // known.
  std::optional<unsigned> node(int member) const;
  // The kernel's ids of the threads, [size()].
  const std::vector<pid_t>& thread_ids() const;
  int pin_failures() const;

  // Calls region(member) once on every member, benched or not, member in [0, size()); returns when
  // all are done.
  void Run(FunctionRef<void(int)> region);

  // Who takes part in RunSteps(): at first everybody. The others sleep. `cpus`: where members are
  // pinned from now on, the first to the first and so on; beyond them, or without any, they stay
  // where they are. Requires: members as many as size(); member 0 works. Between regions only.
  void SetTeam(std::shared_ptr<const Team> team, std::span<const unsigned> cpus = {});
  const std::shared_ptr<const Team>& team() const;
  // Calls region(member) on those of the team who come before it is over, member 0 among them, for
  // work in steps: each makes itself a WorkSteps::Member of steps(). Returns when nobody is inside.
  void RunSteps(FunctionRef<void(int)> region);
  WorkSteps& steps();
  // System calls made so far to wake somebody up.
  uint64_t wakes() const;

 private:
  struct Impl;
  explicit ThreadPool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmrun
