#include "cli/workers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fallback.h"
#include "cli/output.h"

namespace llmrun {
namespace {

Result<int> CappedThreads(const Machine& machine, int threads, const char* option) {
  if (threads < 1 || threads > ThreadPool::kMaxThreads) {
    return MakeFixableError(ErrorCode::kUsage, fmt::format("{} 1 or more, or leave it out", option),
                            "{} threads are outside 1..{}", threads, ThreadPool::kMaxThreads);
  }
  if (threads <= machine.effective_cpus) return threads;
  const Fallback capped{
      .wanted = fmt::format("{} threads", threads),
      .got = fmt::format("{}", machine.effective_cpus),
      .why =
          "there are no more CPUs for this process (its affinity, cpuset and quota counted), "
          "and threads that share one slow each other down",
      .fix = fmt::format("{} {} or less", option, machine.effective_cpus)};
  Note("note   {}", capped.OneLine());
  return machine.effective_cpus;
}

// What real-time threads have to know about the kernel's brake.
void NoteRealtime(const SchedPolicy& policy) {
  if (!IsRealtime(policy)) return;
  const std::optional<RtLimits> limits = ReadRtThrottle();
  if (!limits || limits->Share() >= 1) return;
  Note(
      "note   {}: the kernel may stop real-time threads for {:.0f}% of each {:.1f} s "
      "(kernel.sched_rt_runtime_us)",
      NameOf(policy), 100 * (1 - limits->Share()), static_cast<double>(limits->period_us) * 1e-6);
}

Result<TeamKeeperOptions> KeeperOptions(const Machine& machine, const NodeSet& nodes,
                                        const WorkerOptions& options) {
  TeamKeeperOptions keep{.machine = machine, .nodes = nodes, .pin = options.pin};
  keep.lease_path = options.lease_path;
  keep.tune_decode = options.tune_decode && options.threads == 0;
  const int threads =
      options.threads != 0 ? options.threads : DefaultThreads(machine, nodes, options.pin);
  ASSIGN_OR_RETURN(keep.decode_threads, CappedThreads(machine, threads, "-t"));
  keep.prompt_threads = keep.decode_threads;
  if (options.threads_batch != 0) {
    ASSIGN_OR_RETURN(keep.prompt_threads, CappedThreads(machine, options.threads_batch, "-tb"));
  }
  return keep;
}

Result<std::unique_ptr<ThreadPool>> PoolFor(const TeamKeeperOptions& keep,
                                            const std::optional<SchedPolicy>& policy) {
  ASSIGN_OR_RETURN(const AffinityPlan plan,
                   PlanAffinity(keep.machine, keep.nodes, keep.pin,
                                std::max(keep.prompt_threads, keep.decode_threads)));
  ThreadPoolOptions options = PoolOptionsFor(keep, plan);
  options.policy = policy;
  ASSIGN_OR_RETURN(std::unique_ptr<ThreadPool> pool, ThreadPool::Create(options));
  if (policy) NoteRealtime(*policy);
  return pool;
}

}  // namespace

Result<Workers> MakeWorkers(const Machine& machine, const NodeSet& nodes,
                            const WorkerOptions& options) {
  ASSIGN_OR_RETURN(TeamKeeperOptions keep, KeeperOptions(machine, nodes, options));
  Workers workers;
  ASSIGN_OR_RETURN(workers.pool, PoolFor(keep, options.policy));
  ASSIGN_OR_RETURN(workers.keeper, TeamKeeper::Create(*workers.pool, std::move(keep)));
  return workers;
}

Result<std::unique_ptr<ThreadPool>> MakePool(const Machine& machine, const NodeSet& nodes,
                                             int threads) {
  ASSIGN_OR_RETURN(const TeamKeeperOptions keep,
                   KeeperOptions(machine, nodes, {.threads = threads}));
  return PoolFor(keep, std::nullopt);
}

void NoteNodesWithoutThreads(const PlacementPlan& plan, const ThreadPool& pool) {
  if (plan.arenas.size() < 2) return;
  NodeSet without = plan.nodes;
  for (int i = 0; i < pool.size(); ++i) {
    if (pool.node(i)) std::erase(without, *pool.node(i));
  }
  if (without.empty()) return;
  const Fallback fallback{
      .wanted = fmt::format("threads on {}", NameOf(plan.nodes)),
      .got = fmt::format("none on {}", NameOf(without)),
      .why = fmt::format("{} thread{}, or not pinned", pool.size(), pool.size() == 1 ? "" : "s"),
      .fix = fmt::format("-t {} or more, up to one a CPU; or --numa=bind:{}", plan.nodes.size(),
                         plan.nodes.front())};
  Note("note   {}", fallback.OneLine());
}

void NoteChanges(const TeamKeeper& keeper) {
  for (const std::string& change : keeper.changes()) Note("note   {}", change);
  const uint64_t unsaid = keeper.n_changes() - keeper.changes().size();
  if (unsaid > 0) Note("note   and {} more changes of the threads", unsaid);
  if (const auto& tuner = keeper.tuner(); tuner && tuner->best() < tuner->most()) {
    Note("note   {} of {} threads decode: measured {:.0f}% faster than {}", tuner->best(),
         tuner->most(), 100 * (tuner->speedup() - 1), tuner->most());
  }
  if (const auto throttled = keeper.throttled(); throttled.periods > 0) {
    Note(
        "note   the CPU quota stopped this process (or its cgroup) in {} periods, for {:.1f} s; "
        "fix: raise cpu.max (docker: --cpus), or use fewer threads (-t)",
        throttled.periods, throttled.seconds);
  }
}

}  // namespace llmrun
