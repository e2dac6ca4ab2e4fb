#include <algorithm>
#include <cerrno>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/stopwatch.h"
#include "loader/drop_behind.h"
#include "loader/fill.h"
#include "loader/io/read_executor.h"
#include "loader/io/start_thread.h"

namespace llmrun {
namespace {

// Which files are read with O_DIRECT; one Fallback for each that should be and cannot.
std::vector<ReadFile> DescribeFiles(std::span<const ModelFile> files, bool want_direct,
                                    std::vector<Fallback>* fallbacks) {
  std::vector<ReadFile> described;
  for (const ModelFile& file : files) {
    const bool direct = want_direct && file.direct_fd.valid();
    described.push_back(
        {.label = file.label, .direct = direct, .direct_alignment = file.direct_alignment});
    if (want_direct && !direct) {
      fallbacks->push_back({.wanted = fmt::format("direct I/O for {}", file.label),
                            .got = "reads through the page cache",
                            .why = file.why_not_direct,
                            .fix = "keep the model on a file system with direct I/O (ext4, xfs)"});
    }
  }
  return described;
}

void Merge(FillResult more, FillResult* all) {
  all->loader += all->loader.empty() ? more.loader : " + " + more.loader;
  if (more.queue_depth > 0) {
    all->queue_depth = more.queue_depth;
    all->request_bytes = more.request_bytes;
    all->io_poll = more.io_poll;
  }
  all->bytes += more.bytes;
  all->copied_bytes += more.copied_bytes;
  std::move(more.fallbacks.begin(), more.fallbacks.end(), std::back_inserter(all->fallbacks));
}

class Filling {
 public:
  Filling(const FillJob& job, std::span<Arena> arenas, const BackendFactory& make_backend)
      : job_(job),
        arenas_(arenas),
        make_backend_(make_backend),
        cache_(job.files, job.reads),
        begin_s_(job.reads.reads.size()) {}

  Result<FillResult> Run() {
    std::vector<size_t> cached;
    std::vector<size_t> others;
    for (size_t i = 0; i < job_.reads.reads.size(); ++i) {
      (job_.use_cache && cache_.WasCached(i) ? cached : others).push_back(i);
    }
    const Stopwatch reading;
    Result<FillResult> result = RunBoth(cached, others);
    if (result) result->read_seconds = reading.Seconds();
    cache_.DropRest();
    if (!result && first_error_) return tl::unexpected<Error>(*first_error_);
    return result;
  }

 private:
  // Copies from the page cache run on a thread of their own, beside the other reads. When one half
  // fails the other ends, too.
  Result<FillResult> RunBoth(const std::vector<size_t>& cached, const std::vector<size_t>& others) {
    if (cached.empty()) return RunOn(job_.loader, others, true);
    if (others.empty()) return RunOn(LoaderKind::kRead, cached, true);
    std::optional<Result<FillResult>> copied;
    ASSIGN_OR_RETURN(std::thread copying,
                     StartThread("copying from the page cache", job_.cpus,
                                 [&] { copied = RunHalf(LoaderKind::kRead, cached, false); }));
    Result<FillResult> result = RunHalf(job_.loader, others, true);
    copying.join();
    if (result && !*copied) return tl::unexpected<Error>(copied->error());
    if (result) Merge(std::move(**copied), &*result);
    return result;
  }

  Result<FillResult> RunHalf(LoaderKind loader, const std::vector<size_t>& reads, bool may_tick) {
    Result<FillResult> result = RunOn(loader, reads, may_tick);
    if (!result) {
      Remember(result.error());
      stop_ = true;
    }
    return result;
  }

  Result<FillResult> RunOn(LoaderKind loader, const std::vector<size_t>& reads, bool may_tick) {
    std::vector<BackendFile> descriptors;
    for (const ModelFile& file : job_.files) {
      descriptors.push_back({file.fd.get(), file.direct_fd.get()});
    }
    ASSIGN_OR_RETURN(
        BackendChoice choice,
        make_backend_(loader, descriptors,
                      {.threads = job_.threads,
                       .queue_depth = std::max(job_.queue_depth,
                                               job_.tune ? RequestTuner::Bounds().most.depth : 0),
                       .io_poll = job_.io_poll,
                       .cpus = job_.cpus,
                       .before_read = [this](const ReadRequest& r) { return EnsureFor(r); },
                       .cancelled = &job_.cancelled}));
    FillResult result{.loader = std::string(choice.backend->Name()),
                      .io_poll = choice.io_poll,
                      .fallbacks = std::move(choice.fallbacks)};
    const std::vector<ReadFile> files = DescribeFiles(job_.files, choice.direct, &result.fallbacks);
    const bool touch_ahead = choice.direct;  // threads that read touch what they read
    ExecutorOptions options;
    options.prepare = [this, touch_ahead](uint64_t read) -> Status {
      if (job_.trace != nullptr) begin_s_[read] = job_.trace->Now();
      if (stop_) return MakeError(ErrorCode::kResource, "stopped: other reads have failed");
      return touch_ahead ? EnsureRead(read) : Status();
    };
    const auto landed = [&](uint64_t read) {
      if (!files[job_.reads.reads[read].file].direct) cache_.Drop(read);
      if (job_.trace != nullptr) job_.trace->Add("reads", NameOfRead(read), begin_s_[read]);
      job_.landed(read);
      if (may_tick) job_.tick();
    };
    RequestTuner tuner({job_.request_bytes, job_.queue_depth}, {},
                       job_.tune ? job_.reads.total_bytes : 0);
    options.request_bytes = job_.request_bytes;
    if (choice.direct) options.tuner = &tuner;
    std::atomic<bool> touched_enough{false};
    std::vector<std::thread> helpers;
    if (touch_ahead) helpers = StartTouching(reads, touched_enough);
    Result<ExecutorResult> done =
        RunReads(*choice.backend, JobsFor(reads), files, options, landed, &job_.cancelled);
    touched_enough = true;
    for (std::thread& helper : helpers) helper.join();
    if (!done) return tl::unexpected<Error>(done.error());
    if (choice.direct) {
      result.queue_depth = tuner.current().depth;
      result.request_bytes = std::min(tuner.current().request_bytes, choice.most_bytes);
    }
    result.bytes = done->read_bytes;
    result.copied_bytes = done->read_bytes - done->direct_bytes;
    std::move(done->fallbacks.begin(), done->fallbacks.end(), std::back_inserter(result.fallbacks));
    return result;
  }

  // Threads that touch pages in the order of the reads. None to be had is no failure: the reads
  // touch theirs themselves.
  std::vector<std::thread> StartTouching(const std::vector<size_t>& reads,
                                         const std::atomic<bool>& enough) {
    std::vector<std::thread> threads;
    for (size_t t = 0; t < arenas_.size() * static_cast<size_t>(job_.populate_threads); ++t) {
      const size_t arena = t % arenas_.size();
      const auto& cpus = job_.arena_cpus.empty() ? job_.cpus : job_.arena_cpus[arena];
      Result<std::thread> thread = StartThread("touching pages", cpus, [&, arena] {
        for (const size_t i : reads) {
          if (enough.load(std::memory_order_relaxed)) return;
          const PlannedRead& read = job_.reads.reads[i];
          if (read.arena != arena) continue;
          const double begin_s = job_.trace != nullptr ? job_.trace->Now() : 0;
          const bool touched = arenas_[read.arena].TryPages(read.arena_offset, read.bytes);
          if (touched && job_.trace != nullptr) job_.trace->Add("pages", NameOfRead(i), begin_s);
        }
      });
      if (thread) threads.push_back(std::move(*thread));
    }
    return threads;
  }

  Status EnsureRead(size_t index) {
    const PlannedRead& read = job_.reads.reads[index];
    const Status ensured = arenas_[read.arena].EnsurePages(read.arena_offset, read.bytes);
    if (!ensured) Remember(ensured.error());
    return ensured;
  }

  // Of a request, whose destination is all that a backend knows.
  int EnsureFor(const ReadRequest& request) {
    if (stop_) return ECANCELED;
    for (Arena& arena : arenas_) {
      if (request.destination < arena.data() ||
          request.destination >= arena.data() + arena.size_bytes()) {
        continue;
      }
      const auto offset = static_cast<uint64_t>(request.destination - arena.data());
      const Status ensured = arena.EnsurePages(offset, request.bytes);
      if (!ensured) Remember(ensured.error());
      return ensured ? 0 : ENOMEM;
    }
    return EFAULT;
  }

  // An errno value is all that comes out of a backend, and a half that was stopped knows nothing of
  // the reason: the first error is kept here.
  void Remember(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!first_error_) first_error_ = error;
  }

  std::vector<ReadJob> JobsFor(const std::vector<size_t>& reads) const {
    std::vector<ReadJob> jobs;
    for (const size_t i : reads) {
      const PlannedRead& read = job_.reads.reads[i];
      jobs.push_back({.id = i,
                      .file = read.file,
                      .offset = read.file_offset,
                      .bytes = read.bytes,
                      .must_bytes = read.must_bytes,
                      .destination = arenas_[read.arena].data() + read.arena_offset});
    }
    return jobs;
  }

  std::string NameOfRead(size_t i) const {
    return fmt::format("layer group {} read {}", job_.reads.reads[i].first_group, i);
  }

  const FillJob& job_;
  const std::span<Arena> arenas_;
  const BackendFactory& make_backend_;
  const DropBehind cache_;
  std::vector<double> begin_s_;  // [reads], when traced
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::optional<Error> first_error_;  // guarded by mutex_
};

}  // namespace

Result<FillResult> FillArenas(const FillJob& job, std::span<Arena> arenas,
                              const BackendFactory& make_backend) {
  return Filling(job, arenas, make_backend).Run();
}

}  // namespace llmrun
