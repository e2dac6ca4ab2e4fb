#include <algorithm>
#include <cerrno>
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

// Adds what is not said yet: every lane finds the same refusals.
void AddNews(std::vector<Fallback> more, std::vector<Fallback>* fallbacks) {
  for (Fallback& fallback : more) {
    const bool said = std::ranges::any_of(*fallbacks, [&](const Fallback& other) {
      return other.wanted == fallback.wanted && other.got == fallback.got;
    });
    if (!said) fallbacks->push_back(std::move(fallback));
  }
}

void Merge(FillResult more, FillResult* all) {
  if (all->loader.find(more.loader) == std::string::npos) {
    all->loader += all->loader.empty() ? more.loader : " + " + more.loader;
  }
  if (more.rings > 0) {
    all->rings += more.rings;
    all->queue_depth = more.queue_depth;
    all->request_bytes = more.request_bytes;
    all->io_poll = more.io_poll;
  }
  all->bytes += more.bytes;
  all->copied_bytes += more.copied_bytes;
  AddNews(std::move(more.fallbacks), &all->fallbacks);
}

// Reads in one way into one arena, by a backend of their own, on a thread beside that memory.
struct Lane {
  LoaderKind loader = LoaderKind::kRead;
  uint32_t arena = 0;
  std::vector<size_t> reads = {};
};

// How far touching pages may be ahead of the reads: so far that they need not wait for pages, and
// no further, because clearing memory takes the CPU from those who compute with what has arrived.
class Ahead {
 public:
  // One more read of the lane is on its way.
  void Advance() {
    reads_.fetch_add(1, std::memory_order_relaxed);
    reads_.notify_all();
  }
  void End() {
    reads_ = kEnd;
    reads_.notify_all();
  }
  // Until the read at this place of the lane may be touched; false at the end.
  bool Await(size_t at) const {
    size_t reads = reads_.load(std::memory_order_relaxed);
    for (; reads < kEnd && at >= reads + kMostReads;
         reads = reads_.load(std::memory_order_relaxed)) {
      reads_.wait(reads, std::memory_order_relaxed);
    }
    return reads < kEnd;
  }

 private:
  static constexpr size_t kMostReads = 32;  // of at most 2 MiB
  static constexpr size_t kEnd = size_t{1} << 60;
  std::atomic<size_t> reads_{0};
};

class Filling {
 public:
  Filling(const FillJob& job, std::span<Arena> arenas, const BackendFactory& make_backend)
      : job_(job),
        arenas_(arenas),
        make_backend_(make_backend),
        cache_(job.files, job.reads),
        tuner_({job.request_bytes, job.queue_depth}, {}, job.tune ? job.reads.total_bytes : 0),
        begin_s_(job.reads.reads.size()) {}

  Result<FillResult> Run() {
    const std::vector<Lane> lanes = Lanes();
    Result<FillResult> result = lanes.size() == 1 ? RunLane(lanes[0], lanes) : RunAll(lanes);
    if (result) result->read_seconds = reading_.Seconds();
    cache_.DropRest();
    if (!result && first_error_) return tl::unexpected<Error>(*first_error_);
    return result;
  }

 private:
  // One for each arena there is something to read into; `auto`: another for what is to be copied
  // from the page cache. At least one.
  std::vector<Lane> Lanes() const {
    std::vector<Lane> lanes;
    for (const bool cached : {false, true}) {
      const LoaderKind loader = cached ? LoaderKind::kRead : job_.loader;
      for (uint32_t arena = 0; arena < arenas_.size(); ++arena) {
        lanes.push_back({.loader = loader, .arena = arena});
        for (size_t i = 0; i < job_.reads.reads.size(); ++i) {
          const bool from_cache = job_.use_cache && cache_.WasCached(i);
          if (job_.reads.reads[i].arena == arena && from_cache == cached) {
            lanes.back().reads.push_back(i);
          }
        }
        if (lanes.back().reads.empty()) lanes.pop_back();
      }
    }
    if (lanes.empty()) lanes.push_back({.loader = job_.loader});
    return lanes;
  }

  // Each on a thread of its own. When one fails the others end, too.
  Result<FillResult> RunAll(const std::vector<Lane>& lanes) {
    std::vector<Result<FillResult>> results(lanes.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < lanes.size() && !stop_; ++i) {
      Result<std::thread> thread = StartThread("reading", CpusOf(lanes[i].arena), [&, i] {
        results[i] = RunLane(lanes[i], lanes);
        if (!results[i]) Stop(results[i].error());
      });
      if (thread) {
        threads.push_back(std::move(*thread));
      } else {
        Stop(thread.error());
      }
    }
    for (std::thread& thread : threads) thread.join();
    if (stop_) return tl::unexpected<Error>(*first_error_);
    FillResult all;
    for (Result<FillResult>& result : results) Merge(std::move(*result), &all);
    return all;
  }

  void Stop(const Error& error) {
    Remember(error);
    stop_ = true;
  }

  const std::vector<unsigned>& CpusOf(uint32_t arena) const {
    return job_.arena_cpus.empty() ? job_.cpus : job_.arena_cpus[arena];
  }

  // `all`: the lanes that run beside this one, and itself.
  Result<FillResult> RunLane(const Lane& lane, const std::vector<Lane>& all) {
    const auto alike = static_cast<uint32_t>(
        std::ranges::count_if(all, [&](const Lane& other) { return other.loader == lane.loader; }));
    ASSIGN_OR_RETURN(BackendChoice choice, MakeBackend(lane, static_cast<int>(alike)));
    FillResult result{.loader = std::string(choice.backend->Name()),
                      .io_poll = choice.io_poll,
                      .fallbacks = std::move(choice.fallbacks)};
    const std::vector<ReadFile> files = DescribeFiles(job_.files, choice.direct, &result.fallbacks);
    const bool touch_ahead = choice.direct;  // threads that read touch what they read
    ExecutorOptions options{.request_bytes = job_.request_bytes,
                            .tuner = choice.direct ? &tuner_ : nullptr,
                            .sharers = alike,
                            .clock = reading_};
    Ahead ahead;
    options.prepare = [this, touch_ahead, &ahead](uint64_t read) -> Status {
      ahead.Advance();
      if (job_.trace != nullptr) begin_s_[read] = job_.trace->Now();
      if (stop_) return MakeError(ErrorCode::kResource, "stopped: other reads have failed");
      return touch_ahead ? EnsureRead(read) : Status();
    };
    const bool may_tick = &lane == all.data();
    const auto landed = [&](uint64_t read) {
      if (!files[job_.reads.reads[read].file].direct) cache_.Drop(read);
      if (job_.trace != nullptr) job_.trace->Add("reads", NameOfRead(read), begin_s_[read]);
      job_.landed(read);
      if (may_tick) job_.tick();
    };
    std::vector<std::thread> helpers;
    if (touch_ahead) helpers = StartTouching(lane, ahead);
    Result<ExecutorResult> done =
        RunReads(*choice.backend, JobsFor(lane.reads), files, options, landed, &job_.cancelled);
    ahead.End();
    for (std::thread& helper : helpers) helper.join();
    if (!done) return tl::unexpected<Error>(done.error());
    if (choice.direct) {
      const RequestTuner::Setting settled = tuner_.current();
      result.rings = 1;
      result.queue_depth = settled.depth;
      result.request_bytes = std::min(settled.request_bytes, choice.most_bytes);
    }
    result.bytes = done->read_bytes;
    result.copied_bytes = done->read_bytes - done->direct_bytes;
    AddNews(std::move(done->fallbacks), &result.fallbacks);
    return result;
  }

  Result<BackendChoice> MakeBackend(const Lane& lane, int alike) {
    std::vector<BackendFile> descriptors;
    for (const ModelFile& file : job_.files) {
      descriptors.push_back({file.fd.get(), file.direct_fd.get()});
    }
    return make_backend_(
        lane.loader, descriptors,
        {.threads = std::max(1, job_.threads / alike),
         .queue_depth =
             std::max(job_.queue_depth, job_.tune ? RequestTuner::Bounds().most.depth : 0),
         .io_poll = job_.io_poll,
         .cpus = CpusOf(lane.arena),
         .before_read = [this, arena = lane.arena](
                            const ReadRequest& request) { return EnsureFor(arena, request); },
         .cancelled = &job_.cancelled});
  }

  // Threads that touch pages in the order of the reads. None to be had is no failure: the reads
  // touch theirs themselves.
  std::vector<std::thread> StartTouching(const Lane& lane, const Ahead& ahead) {
    std::vector<std::thread> threads;
    for (int t = 0; t < job_.populate_threads; ++t) {
      Result<std::thread> thread = StartThread("touching pages", CpusOf(lane.arena), [&] {
        for (size_t at = 0; at < lane.reads.size(); ++at) {
          if (!ahead.Await(at)) return;
          const size_t i = lane.reads[at];
          const PlannedRead& read = job_.reads.reads[i];
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

  int EnsureFor(uint32_t arena, const ReadRequest& request) {
    if (stop_) return ECANCELED;
    const auto offset = static_cast<uint64_t>(request.destination - arenas_[arena].data());
    const Status ensured = arenas_[arena].EnsurePages(offset, request.bytes);
    if (!ensured) Remember(ensured.error());
    return ensured ? 0 : ENOMEM;
  }

  // An errno value is all that comes out of a backend, and a lane that was stopped knows nothing of
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
  const Stopwatch reading_;
  RequestTuner tuner_;           // of all rings: they share a device
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
