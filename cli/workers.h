// The threads that compute: a pool on the CPUs that a plan says, and what keeps its team in line
// with what there is for it.
// Threads: Single-thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "loader/plan/placement_plan.h"
#include "memory/machine.h"
#include "memory/node_set.h"
#include "sched/affinity_plan.h"
#include "sched/sched_policy.h"
#include "sched/team_keeper.h"
#include "sched/thread_pool.h"

namespace llmrun {

struct WorkerOptions {
  int threads = 0;        // 0: DefaultThreads()
  int threads_batch = 0;  // for prompts; 0: as threads
  // Let decode have fewer than DefaultThreads() where that is measured to be faster; a number that
  // is given is kept to.
  bool tune_decode = false;
  PinMode pin = {};
  std::optional<SchedPolicy> policy = {};
  std::optional<std::string> lease_path = {};  // of the table of core leases; unset: none
};

// Shared by models that take turns on the same threads.
struct Workers {
  std::shared_ptr<ThreadPool> pool;
  std::shared_ptr<TeamKeeper> keeper;  // destroyed first
};

// On CPUs of these nodes (none: of the machine), never more threads than there are CPUs for us (one
// line says so). kUsage for counts outside 1..ThreadPool::kMaxThreads and lists of CPUs that cannot
// be had; errors of policies and leases.
Result<Workers> MakeWorkers(const Machine& machine, const NodeSet& nodes,
                            const WorkerOptions& options);
// Without anything to keep, for work on its own.
Result<std::unique_ptr<ThreadPool>> MakePool(const Machine& machine, const NodeSet& nodes,
                                             int threads);

// One line when rows or copies lie on nodes where no thread of the pool works: they are read from
// afar, or not at all.
void NoteNodesWithoutThreads(const PlacementPlan& plan, const ThreadPool& pool);
// What changed while they worked, whether fewer decoded faster, and how often the CPU quota stopped
// them: a line each.
void NoteChanges(const TeamKeeper& keeper);

}  // namespace llmrun
