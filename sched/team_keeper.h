// Keeps a pool's team in line with what there is for it while it runs: as many threads as the work
// wants (a prompt and the tokens after it may want different numbers), no more than the cgroup
// grants the time of, on CPUs that affinity and cpuset leave, and, with core leases, on those that
// other processes do not use. Affinity that somebody else gave its threads (taskset -ap) is kept
// to. When told to, it looks for a smaller number of decode threads that is faster
// (sched/thread_tuner.h); anew when decode gets other CPUs.
//
// Threads: Single-thread, that of the pool's caller; between regions only. Must outlive it: the
// pool.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "memory/cpu_limits.h"
#include "memory/machine.h"
#include "memory/node_set.h"
#include "sched/affinity.h"
#include "sched/affinity_plan.h"
#include "sched/core_lease.h"
#include "sched/thread_pool.h"
#include "sched/thread_tuner.h"

namespace llmrun {

// What the team is for.
enum class TeamUse : uint8_t { kPrompt, kDecode };

struct TeamKeeperOptions {
  Machine machine;  // as the pool was planned with
  NodeSet nodes;    // of the weights
  PinMode pin;
  int prompt_threads = 1;
  int decode_threads = 1;
  bool tune_decode = false;                    // fewer where that is measured to be faster
  std::optional<std::string> lease_path = {};  // of the table of core leases; unset: none
  LimitRoots roots = {};
  std::chrono::milliseconds look_interval{500};  // how often limits are read again
};

// The pool that those options want: as many members as the larger of both numbers of threads.
ThreadPoolOptions PoolOptionsFor(const TeamKeeperOptions& options, const AffinityPlan& plan);

class TeamKeeper {
 public:
  // Failure: that of CoreLease::Join().
  static Result<std::unique_ptr<TeamKeeper>> Create(ThreadPool& pool, TeamKeeperOptions options);

  // Before work of this kind. Costs a look at the clock when nothing has changed. From the first
  // call until Rest() this process counts as active among those that share cores.
  void Prepare(TeamUse use);
  // After that work: what it took, without whatever else happened since Prepare().
  void Computed(TeamUse use, double seconds);
  // How many work on this now; while fewer are tried, the best number so far.
  int threads(TeamUse use) const {
    if (use == TeamUse::kDecode && tuner_) return tuner_->best();
    return (use == TeamUse::kPrompt ? prompt_ : decode_).team->size();
  }
  // Of decode, since it has the CPUs that it has; unset without tune_decode.
  const std::optional<ThreadTuner>& tuner() const { return tuner_; }
  // There is nothing to do for now: leased cores are given back.
  void Rest();

  // What changed since the beginning and why: "4 -> 2 threads: the cgroup grants the time of 2
  // CPUs". The first few of them.
  const std::vector<std::string>& changes() const { return changes_; }
  uint64_t n_changes() const { return n_changes_; }
  // How often, and for how long, a CPU quota stopped this process since the beginning. Reads files.
  struct Throttled {
    uint64_t periods = 0;
    double seconds = 0;
  };
  Throttled throttled() const;

 private:
  TeamKeeper(ThreadPool& pool, TeamKeeperOptions options);
  bool Look();
  bool CompareAffinity(std::vector<CpuMask> masks);
  std::vector<CpuMask> Masks() const;
  void MakeTeams();
  std::string Reason() const;

  struct Made {
    std::shared_ptr<const Team> team;
    std::vector<unsigned> cpus;  // of its members
  };
  Made TeamOf(int threads) const;
  const Made& TeamFor(TeamUse use);

  ThreadPool& pool_;
  const TeamKeeperOptions options_;
  std::unique_ptr<CoreLease> lease_;
  bool active_ = false;
  const CpuLimits first_limits_;
  CpuLimits limits_;
  std::vector<CpuMask> masks_;                     // of the pool's threads, as we left them
  std::optional<std::vector<unsigned>> affinity_;  // that somebody gave them since
  bool affinity_is_news_ = false;
  std::chrono::steady_clock::time_point next_look_;
  Made prompt_;
  Made decode_;  // all that it may have
  std::optional<ThreadTuner> tuner_;
  std::map<int, Made> fewer_;  // decode teams that the tuner wanted, by size
  std::vector<std::string> changes_;
  uint64_t n_changes_ = 0;
};

}  // namespace llmrun
