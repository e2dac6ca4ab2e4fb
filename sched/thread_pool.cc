#include "sched/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/thread_error.h"
#include "sched/affinity.h"
#include "sched/progress.h"
#include "sched/region_gate.h"

namespace llmrun {
namespace {

// [threads]; nothing of a caller that is not pinned.
std::vector<std::optional<unsigned>> NodesOf(const ThreadPoolOptions& options) {
  std::vector<std::optional<unsigned>> nodes(static_cast<size_t>(std::max(options.threads, 1)));
  if (options.nodes.empty()) return nodes;
  for (size_t i = options.pin_caller ? 0 : 1; i < nodes.size(); ++i) {
    nodes[i] = options.nodes[i % options.nodes.size()];
  }
  return nodes;
}

uint32_t SpinNs(const ThreadPoolOptions& options) {
  if (options.threads > options.effective_cpus) return 0;
  return options.policy ? MostSpinNs(*options.policy, options.spin_ns) : options.spin_ns;
}

}  // namespace

// A region is open while the gate is. Its opening is a step of `start`, for which those of the team
// wait, and, when somebody on the bench is concerned, one of `bench`.
struct ThreadPool::Impl {
  explicit Impl(const ThreadPoolOptions& o)
      : options(o),
        nodes(NodesOf(o)),
        spin_ns(SpinNs(o)),
        steps(o.threads, spin_ns),
        thread_ids(static_cast<size_t>(o.threads)),
        benched(std::make_unique<std::atomic<bool>[]>(static_cast<size_t>(o.threads))),
        end_site(spin_ns) {
    team = std::make_shared<Team>(nodes, std::vector<double>(nodes.size(), 1.0));
  }
  ~Impl();

  Status Start();
  void SetTeam(std::shared_ptr<const Team> new_team, std::span<const unsigned> cpus);
  Status ApplyPolicy();
  void Run(FunctionRef<void(int)> new_region);
  void RunSteps(FunctionRef<void(int)> new_region);
  void OpenAndRun(FunctionRef<void(int)> new_region);
  void Signal(Progress& progress) { progress.Add(1, progress.Load() + 1); }
  void Work(int member);
  void Pin(int member);

  const ThreadPoolOptions options;
  const std::vector<std::optional<unsigned>> nodes;  // [members]
  const uint32_t spin_ns;
  const pid_t caller = ThisThreadId();
  std::optional<CpuMask> caller_mask;        // set while the caller is pinned
  std::optional<SchedPolicy> caller_policy;  // set while it has another
  std::atomic<int> pin_failures{0};

  WorkSteps steps;
  std::vector<pid_t> thread_ids;  // [members], each written by itself before its first region
  std::shared_ptr<const Team> team;
  const std::unique_ptr<std::atomic<bool>[]> benched;  // [members]
  Progress start;
  Progress bench;
  RegionGate gate;
  Progress finished;  // members that ran a region of everybody, over all of those
  WaitSite end_site;
  // Written by the caller before the gate opens.
  const FunctionRef<void(int)>* region = nullptr;
  bool everybody = false;
  uint32_t regions = 0;
  std::atomic<bool> stopping{false};
  std::vector<std::thread> workers;
};

void ThreadPool::Impl::Pin(int member) {
  if (options.cpus.empty()) return;
  const unsigned cpu = options.cpus[static_cast<size_t>(member) % options.cpus.size()];
  if (!PinToCpu(ThisThreadId(), cpu)) pin_failures.fetch_add(1, std::memory_order_relaxed);
}

Status ThreadPool::Impl::Start() {
  try {
    workers.reserve(static_cast<size_t>(options.threads) - 1);
    for (int member = 1; member < options.threads; ++member) {
      workers.emplace_back([this, member] { Work(member); });
      const std::string name = "llm-run-" + std::to_string(member);
      pthread_setname_np(workers.back().native_handle(), name.c_str());
    }
  } catch (const std::system_error& e) {
    return ThreadError(
        e, fmt::format("starting thread {} of {}", workers.size() + 2, options.threads));
  }
  // The caller comes last: threads inherit the affinity of their creator.
  thread_ids[0] = caller;
  if (options.pin_caller && !options.cpus.empty()) {
    if (Result<CpuMask> mask = AffinityOf(caller)) caller_mask = *std::move(mask);
    Pin(0);
  }
  // Once every worker has been through a region, all are pinned and pin_failures is final.
  Run([](int) {});
  return ApplyPolicy();
}

Status ThreadPool::Impl::ApplyPolicy() {
  if (!options.policy) return {};
  ASSIGN_OR_RETURN(caller_policy, PolicyOf(caller));
  for (const pid_t thread_id : thread_ids) {
    RETURN_IF_ERROR(ApplySchedPolicy(thread_id, *options.policy));
  }
  return {};
}

ThreadPool::Impl::~Impl() {
  stopping.store(true, std::memory_order_relaxed);
  Signal(start);
  Signal(bench);
  for (std::thread& worker : workers) worker.join();
  // Best effort: the CPUs may be gone by now.
  if (caller_mask) (void)SetAffinity(caller, *caller_mask);
  // And a policy of no return may have been asked for (sched/sched_policy.h).
  if (caller_policy) (void)ApplySchedPolicy(caller, *caller_policy);
}

void ThreadPool::Impl::Work(int member) {
  Pin(member);
  thread_ids[static_cast<size_t>(member)] = ThisThreadId();
  const std::atomic<bool>& on_bench = benched[static_cast<size_t>(member)];
  WaitSite start_site(spin_ns);
  WaitSite bench_site(0);
  uint64_t started = 0;
  uint64_t called = 0;
  uint32_t last_region = 0;
  while (true) {
    if (on_bench.load(std::memory_order_relaxed)) {
      bench.Await(called + 1, bench_site);
      called = bench.Load();
    } else {
      start.Await(started + 1, start_site);
      started = start.Load();
    }
    if (stopping.load(std::memory_order_relaxed)) return;
    if (!gate.TryEnter(&last_region)) continue;
    if (everybody || !on_bench.load(std::memory_order_relaxed)) (*region)(member);
    gate.Leave();
  }
}

void ThreadPool::Impl::SetTeam(std::shared_ptr<const Team> new_team,
                               std::span<const unsigned> cpus) {
  for (size_t i = 0; i < std::min(cpus.size(), thread_ids.size()); ++i) {
    // A CPU that is gone by now: the next look at the limits tells.
    if (i > 0 || options.pin_caller) (void)PinToCpu(thread_ids[i], cpus[i]);
  }
  CHECK(new_team->members() == options.threads && new_team->works(0));
  team = std::move(new_team);
  for (int i = 0; i < options.threads; ++i) {
    benched[static_cast<size_t>(i)].store(!team->works(i), std::memory_order_relaxed);
  }
  Signal(bench);  // who is called back goes to wait for the start
}

// The caller is inside too, so that the gate does not have to be closed before it is done.
void ThreadPool::Impl::OpenAndRun(FunctionRef<void(int)> new_region) {
  region = &new_region;
  gate.Open(++regions);
  Signal(start);
  if (everybody && team->size() < options.threads) Signal(bench);
  new_region(0);
  gate.Close(end_site);
}

void ThreadPool::Impl::RunSteps(FunctionRef<void(int)> new_region) {
  steps.Begin(*team);
  everybody = false;
  OpenAndRun(new_region);
}

void ThreadPool::Impl::Run(FunctionRef<void(int)> new_region) {
  everybody = true;
  const uint64_t target = finished.Load() + static_cast<uint64_t>(options.threads);
  OpenAndRun([&](int member) {
    new_region(member);
    finished.Add(1, target);
    if (member == 0) finished.Await(target, end_site);
  });
}

ThreadPool::ThreadPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ThreadPool::~ThreadPool() = default;

Result<std::unique_ptr<ThreadPool>> ThreadPool::Create(const ThreadPoolOptions& options) {
  if (options.threads < 1 || options.threads > kMaxThreads) {
    return MakeError(ErrorCode::kUsage, "{} threads asked for, 1 to {} are possible",
                     options.threads, kMaxThreads);
  }
  CHECK(options.nodes.empty() || options.nodes.size() == options.cpus.size());
  auto impl = std::make_unique<Impl>(options);
  RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<ThreadPool>(new ThreadPool(std::move(impl)));
}

int ThreadPool::size() const { return impl_->options.threads; }
std::optional<unsigned> ThreadPool::node(int member) const {
  return impl_->nodes[static_cast<size_t>(member)];
}
const std::vector<pid_t>& ThreadPool::thread_ids() const { return impl_->thread_ids; }
int ThreadPool::pin_failures() const { return impl_->pin_failures.load(std::memory_order_relaxed); }
void ThreadPool::Run(FunctionRef<void(int)> region) { impl_->Run(region); }
void ThreadPool::SetTeam(std::shared_ptr<const Team> team, std::span<const unsigned> cpus) {
  impl_->SetTeam(std::move(team), cpus);
}
const std::shared_ptr<const Team>& ThreadPool::team() const { return impl_->team; }
void ThreadPool::RunSteps(FunctionRef<void(int)> region) { impl_->RunSteps(region); }
WorkSteps& ThreadPool::steps() { return impl_->steps; }
uint64_t ThreadPool::wakes() const {
  return impl_->start.wakes() + impl_->gate.wakes() + impl_->steps.wakes();
}

}  // namespace llmrun
