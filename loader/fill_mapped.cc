#include <memory>
#include <mutex>
#include <optional>

#include "base/stopwatch.h"
#include "loader/fill.h"
#include "memory/thread_policy.h"
#include "sched/thread_pool.h"

namespace llmrun {
namespace {

// The work of all threads: reads are taken in order, so that layers become ready in order.
class Populating {
 public:
  Populating(const FillJob& job, std::span<const MappedFile> mappings)
      : job_(job), mappings_(mappings) {}

  void Work(bool is_loading_thread) {
    const std::vector<PlannedRead>& reads = job_.reads.reads;
    while (!stop_.load(std::memory_order_relaxed)) {
      if (job_.cancelled.load(std::memory_order_relaxed)) {
        return Fail(Error{ErrorCode::kResource, "cancelled", ""});
      }
      const size_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= reads.size()) return;
      const double begin_s = job_.trace != nullptr ? job_.trace->Now() : 0;
      const Status populated =
          mappings_[reads[i].file].Populate(reads[i].file_offset, reads[i].bytes);
      if (!populated) return Fail(populated.error());
      if (job_.trace != nullptr) job_.trace->Add("pages", fmt::format("map {}", i), begin_s);
      job_.landed(i);
      if (is_loading_thread) job_.tick();
    }
  }

  Status Outcome() const {
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
  }

 private:
  void Fail(Error error) {
    stop_ = true;
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }

  const FillJob& job_;
  const std::span<const MappedFile> mappings_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::optional<Error> error_;  // guarded by mutex_
};

}  // namespace

Result<FillResult> FillMapped(const FillJob& job, std::span<const MappedFile> mappings) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ThreadPool> pool,
                   ThreadPool::Create({.threads = job.threads, .cpus = job.cpus, .spin_ns = 0}));
  const Stopwatch reading;
  Populating work(job, mappings);
  std::atomic<bool> placed{true};
  pool->Run([&](int member) {
    // Of the loading thread and the pool's, which end with the load.
    if (!job.cache_nodes.empty() && !SetThreadNodes(job.cache_nodes)) placed = false;
    work.Work(member == 0);
  });
  RETURN_IF_ERROR(work.Outcome());
  FillResult result{.loader = std::string(NameOf(LoaderKind::kMmap)),
                    .read_seconds = reading.Seconds(),
                    .bytes = job.reads.total_bytes};
  if (!placed) {
    result.fallbacks.push_back({.wanted = fmt::format("page cache on {}", NameOf(job.cache_nodes)),
                                .got = "page cache where the kernel puts it",
                                .why = "set_mempolicy is forbidden here",
                                .fix = "allow it, e.g. docker run --cap-add=SYS_NICE"});
  }
  return result;
}

}  // namespace llmrun
