// How a short direct read is continued, for a job of bytes [8192, 20480) of a file, direct
// alignment 512, when the kernel gives 5000 of the 12288 bytes:
//
//     asked     [8192 ........................................ 20480)
//     landed    [8192 ............ 13192)                              5000 bytes
//     kept      [8192 ......... 12800)          13192 rounded down to 512: 12800 = 25 * 512
//     next            read [12800 ........................... 20480)   again aligned; the 392 bytes
//                                                                      read twice are the same
//                                                                      bytes
//
// A direct read that does not even bring one block further (fewer than 512 bytes, or the end of a
// truncated file in the middle of a block) is continued through the page cache, which has no
// alignment and says 0 at the end of the file.
#include "loader/io/read_executor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>

#include "base/check.h"
#include "base/checked.h"
#include "base/stopwatch.h"

namespace llmrun {
namespace {

// A single read(2) moves at most 2 GiB - 4 KiB; a multiple of every alignment below that.
constexpr uint64_t kMaxRequestBytes = uint64_t{1} << 30;

// Jobs that are prepared before they are submitted together: the device should not wait for the
// preparation of a whole queue.
constexpr size_t kPreparedBatch = 4;

class Run {
 public:
  Run(ReadBackend& backend, std::span<const ReadJob> jobs, std::span<const ReadFile> files,
      const ExecutorOptions& options, const std::function<void(uint64_t)>& landed)
      : backend_(backend), jobs_(jobs), files_(files), options_(options), landed_(landed) {
    states_.resize(jobs.size());
    for (size_t i = 0; i < jobs.size(); ++i) {
      CHECK(jobs[i].must_bytes > 0 && jobs[i].must_bytes <= jobs[i].bytes);
      states_[i].direct = files[jobs[i].file].direct && !jobs[i].buffered;
      ready_.push_back(i);
    }
    refused_direct_.resize(files.size());
  }

  Result<ExecutorResult> Execute(const std::atomic<bool>* cancelled) {
    while (true) {
      if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
        Fail(Error{ErrorCode::kResource, "cancelled", ""});
      }
      if (!error_) SubmitReady();
      if (in_flight_ == 0) break;
      ReapSome();
    }
    if (error_) return tl::unexpected<Error>(*error_);
    CHECK(finished_ == jobs_.size());
    return result_;
  }

 private:
  struct State {
    uint64_t done = 0;   // from the job's offset; what lies before is in place for good
    uint64_t asked = 0;  // by the request in flight, of this job
    uint32_t jobs = 1;   // of the request that begins with this job: it and those after it
    int retries = 0;     // in a row
    bool direct = false;
    bool prepared = false;
    bool alone = false;  // a request of it failed or fell short: not joined with others again
  };

  void Fail(Error error) {
    if (!error_) error_ = std::move(error);
  }

  uint64_t RequestBytes() const {
    return options_.tuner != nullptr ? options_.tuner->current().request_bytes
                                     : options_.request_bytes;
  }
  uint32_t Depth() const {
    const uint32_t most = backend_.Capacity();
    if (options_.tuner == nullptr) return most;
    return std::clamp(options_.tuner->current().depth / options_.sharers, 1U, most);
  }

  // What is still to be asked for of a job.
  uint64_t Ask(size_t index) {
    const ReadJob& job = jobs_[index];
    State& state = states_[index];
    // Only O_DIRECT has to ask for the rest of the last block.
    const uint64_t end = state.direct ? job.bytes : job.must_bytes;
    return state.asked = std::min(end - state.done, kMaxRequestBytes);
  }

  // Whether `next` continues `last`, in the file and in memory.
  bool Joins(size_t last, size_t next) const {
    const ReadJob& a = jobs_[last];
    const ReadJob& b = jobs_[next];
    return !states_[last].alone && !states_[next].alone &&
           states_[last].direct == states_[next].direct && a.file == b.file &&
           a.bytes == a.must_bytes && a.offset + a.bytes == b.offset &&
           a.destination + a.bytes == b.destination;
  }

  // A request for the job at ready_[*at] and those that join it; moves *at behind them.
  Result<ReadRequest> NextRequest(size_t* at) {
    const size_t first = ready_[*at];
    State& state = states_[first];
    RETURN_IF_ERROR(Prepare(first));
    ReadRequest request{.tag = first,
                        .file = jobs_[first].file,
                        .direct = state.direct,
                        .offset = jobs_[first].offset + state.done,
                        .bytes = Ask(first),
                        .destination = jobs_[first].destination + state.done};
    state.jobs = 1;
    for (++*at; *at < ready_.size(); ++*at) {
      const size_t next = ready_[*at];
      if (next != first + state.jobs || !Joins(next - 1, next)) break;
      if (request.bytes + jobs_[next].bytes > RequestBytes()) break;
      RETURN_IF_ERROR(Prepare(next));
      request.bytes += Ask(next);
      ++state.jobs;
    }
    return request;
  }

  void SubmitReady() {
    while (!ready_.empty() && in_flight_ < Depth()) {
      const size_t most =
          std::min<size_t>(Depth() - in_flight_, options_.prepare ? kPreparedBatch : ready_.size());
      batch_.clear();
      for (size_t at = 0; batch_.size() < most && at < ready_.size();) {
        Result<ReadRequest> request = NextRequest(&at);
        if (!request) return Fail(request.error());
        batch_.push_back(*request);
      }
      const Result<size_t> taken = backend_.Submit(batch_);
      if (!taken) return Fail(taken.error());
      CHECK(*taken <= batch_.size() && (*taken > 0 || in_flight_ > 0));
      if (*taken == 0) return;
      size_t jobs = 0;
      for (size_t i = 0; i < *taken; ++i) jobs += states_[batch_[i].tag].jobs;
      ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(jobs));
      in_flight_ += static_cast<uint32_t>(*taken);
      result_.requests += *taken;
    }
  }

  Status Prepare(size_t index) {
    if (!options_.prepare || states_[index].prepared) return {};
    states_[index].prepared = true;
    return options_.prepare(jobs_[index].id);
  }

  void ReapSome() {
    std::array<ReadCompletion, 64> completions;
    const Result<size_t> count = backend_.Reap(completions);
    if (!count) {
      // The backend is broken; its destruction is what ends the requests now.
      Fail(count.error());
      in_flight_ = 0;
      return;
    }
    CHECK(*count > 0 && *count <= in_flight_);
    in_flight_ -= static_cast<uint32_t>(*count);
    for (const ReadCompletion& completion : std::span(completions).first(*count)) {
      if (!error_) Complete(completion.tag, completion.result);
    }
  }

  void Complete(size_t index, int64_t result) {
    if (states_[index].jobs > 1) return CompleteJoined(index, result);
    if (result > 0) {
      if (options_.tuner != nullptr) {
        options_.tuner->Landed(static_cast<uint64_t>(result), options_.clock.Seconds());
      }
      Landed(index, static_cast<uint64_t>(result));
    } else if (result == 0) {
      FailTruncated(index);
    } else {
      Refused(index, static_cast<int>(-result));
    }
  }

  // Several jobs in one request: those that are complete have landed; the others are asked for
  // again, each alone, so that whatever is wrong is found where it is.
  void CompleteJoined(size_t first, int64_t result) {
    uint64_t left = result > 0 ? static_cast<uint64_t>(result) : 0;
    if (options_.tuner != nullptr && left > 0)
      options_.tuner->Landed(left, options_.clock.Seconds());
    const size_t end = first + states_[first].jobs;
    states_[first].jobs = 1;
    std::vector<size_t> again;
    for (size_t index = first; index < end; ++index) {
      const uint64_t bytes = std::min(left, states_[index].asked);
      left -= bytes;
      if (bytes >= jobs_[index].must_bytes) {
        Landed(index, bytes);
      } else {
        states_[index].alone = true;
        again.push_back(index);
      }
    }
    result_.retries += again.size();
    ready_.insert(ready_.begin(), again.begin(), again.end());
  }

  void Landed(size_t index, uint64_t bytes) {
    const ReadJob& job = jobs_[index];
    State& state = states_[index];
    CHECK(bytes <= state.asked);
    uint64_t done = state.done + bytes;
    const bool finished = done >= job.must_bytes;
    if (state.direct && !finished) done = AlignDown(done, files_[job.file].direct_alignment);
    const uint64_t gained = std::min(done, job.must_bytes) - std::min(state.done, job.must_bytes);
    result_.read_bytes += gained;
    if (state.direct) result_.direct_bytes += gained;
    if (gained == 0) state.direct = false;
    state.done = done;
    state.retries = 0;
    if (finished) {
      ++finished_;
      if (landed_) landed_(job.id);
    } else {
      Again(index);
    }
  }

  void Again(size_t index) {
    ++result_.retries;
    states_[index].alone = true;
    ready_.push_front(index);
  }

  void FailTruncated(size_t index) {
    const ReadJob& job = jobs_[index];
    Fail(Error{ErrorCode::kBadData,
               fmt::format("{}: the file ends at byte {}, expected at least {} bytes (truncated "
                           "while loading?)",
                           files_[job.file].label, job.offset + states_[index].done,
                           job.offset + job.must_bytes),
               ""});
  }

  void Refused(size_t index, int errnum) {
    const ReadJob& job = jobs_[index];
    State& state = states_[index];
    if (state.direct && (errnum == EINVAL || errnum == EOPNOTSUPP)) {
      GiveUpDirect(job, state.done, errnum);
      state.direct = false;
      return Again(index);
    }
    const bool transient = errnum == EINTR || errnum == EAGAIN;
    if (transient && state.retries < options_.max_retries) {
      ++state.retries;
      return Again(index);
    }
    Fail(OsError(errnum, fmt::format("{}: reading {} bytes at byte {}", files_[job.file].label,
                                     state.asked, job.offset + state.done))
             .value());
  }

  // The file system refuses direct reads of this file after all: one Fallback, and what has not
  // been submitted goes through the page cache. Requests in flight come here one by one.
  void GiveUpDirect(const ReadJob& job, uint64_t done, int errnum) {
    if (refused_direct_[job.file]) return;
    refused_direct_[job.file] = true;
    for (const size_t waiting : ready_) {
      if (jobs_[waiting].file == job.file) states_[waiting].direct = false;
    }
    result_.fallbacks.push_back(
        {.wanted = fmt::format("direct I/O for {}", files_[job.file].label),
         .got = "reads through the page cache",
         .why = fmt::format("the file system refused a direct read at byte {}: {}",
                            job.offset + done, std::strerror(errnum)),
         .fix = "keep the model on a file system with direct I/O (ext4, xfs)"});
  }

  ReadBackend& backend_;
  const std::span<const ReadJob> jobs_;
  const std::span<const ReadFile> files_;
  const ExecutorOptions options_;
  const std::function<void(uint64_t)>& landed_;

  std::vector<State> states_;         // [jobs]
  std::deque<size_t> ready_;          // jobs to submit, those to continue first
  std::vector<ReadRequest> batch_;    // scratch of SubmitReady()
  std::vector<bool> refused_direct_;  // [files]
  uint32_t in_flight_ = 0;
  size_t finished_ = 0;
  ExecutorResult result_;
  std::optional<Error> error_;
};

}  // namespace

Result<ExecutorResult> RunReads(ReadBackend& backend, std::span<const ReadJob> jobs,
                                std::span<const ReadFile> files, const ExecutorOptions& options,
                                const std::function<void(uint64_t id)>& landed,
                                const std::atomic<bool>* cancelled) {
  return Run(backend, jobs, files, options, landed).Execute(cancelled);
}

}  // namespace llmrun
