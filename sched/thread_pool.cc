#include "sched/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.h"
#include "sched/affinity.h"
#include "sched/barrier.h"
#include "sched/epoch.h"

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

}  // namespace

// A region starts by one step of `start` and ends when `running` workers have counted down, the
// last of them stepping `done`. Workers never wait for each other at the end: each goes straight
// back to waiting for the next start.
struct ThreadPool::Impl {
  explicit Impl(const ThreadPoolOptions& o)
      : options(o),
        nodes(NodesOf(o)),
        spin_ns(o.threads > o.effective_cpus ? 0 : o.spin_ns),
        barrier(o.threads, spin_ns),
        steps(nodes, spin_ns) {}
  ~Impl();

  Status Start();
  void Run(FunctionRef<void(int)> new_region);
  void Work(int member);
  void Pin(int member);

  const ThreadPoolOptions options;
  const std::vector<std::optional<unsigned>> nodes;  // [members]
  const uint32_t spin_ns;
  const pid_t caller = ThisThreadId();
  std::optional<CpuMask> caller_mask;  // set while the caller is pinned
  std::atomic<int> pin_failures{0};

  llmrun::Barrier barrier;
  WorkSteps steps;
  Epoch start;
  Epoch done;
  // Written by the caller before stepping `start`; null asks the workers to end.
  const FunctionRef<void(int)>* region = nullptr;
  alignas(kNoSharingBytes) std::atomic<int> running{0};
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
    return OsError(e.code().value(),
                   fmt::format("creating thread {} of {}", workers.size() + 2, options.threads));
  }
  // The caller comes last: threads inherit the affinity of their creator.
  if (options.pin_caller && !options.cpus.empty()) {
    if (Result<CpuMask> mask = AffinityOf(caller)) caller_mask = *std::move(mask);
    Pin(0);
  }
  // Once every worker has been through a region, all are pinned and pin_failures is final.
  Run([](int) {});
  return {};
}

ThreadPool::Impl::~Impl() {
  region = nullptr;
  start.Advance();
  for (std::thread& worker : workers) worker.join();
  // Best effort: the CPUs may be gone by now.
  if (caller_mask) (void)SetAffinity(caller, *caller_mask);
}

void ThreadPool::Impl::Work(int member) {
  Pin(member);
  for (uint32_t seen = 0;; ++seen) {
    start.AwaitChange(seen, spin_ns);
    if (region == nullptr) return;
    (*region)(member);
    if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) done.Advance();
  }
}

void ThreadPool::Impl::Run(FunctionRef<void(int)> new_region) {
  if (workers.empty()) {
    new_region(0);
    return;
  }
  region = &new_region;
  running.store(static_cast<int>(workers.size()), std::memory_order_relaxed);
  const uint32_t regions_done = done.Load();
  start.Advance();
  new_region(0);
  done.AwaitChange(regions_done, spin_ns);
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
void ThreadPool::Run(FunctionRef<void(int)> region) { impl_->Run(region); }
WorkSteps& ThreadPool::steps() { return impl_->steps; }
void ThreadPool::Barrier() { impl_->barrier.ArriveAndWait(); }
int ThreadPool::pin_failures() const { return impl_->pin_failures.load(std::memory_order_relaxed); }

}  // namespace llmrun
