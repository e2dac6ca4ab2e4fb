#include <utility>

#include "base/stopwatch.h"
#include "loader/fill.h"
#include "loader/io/read_executor.h"

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

std::vector<ReadJob> JobsFor(const ReadPlan& plan, std::span<const Arena> arenas) {
  std::vector<ReadJob> jobs;
  for (const PlannedRead& read : plan.reads) {
    jobs.push_back({.id = jobs.size(),
                    .file = read.file,
                    .offset = read.file_offset,
                    .bytes = read.bytes,
                    .must_bytes = read.must_bytes,
                    .destination = arenas[read.arena].data() + read.arena_offset});
  }
  return jobs;
}

}  // namespace

Result<FillResult> FillArenas(const FillJob& job, std::span<const Arena> arenas,
                              const BackendFactory& make_backend) {
  std::vector<BackendFile> descriptors;
  for (const ModelFile& file : job.files) {
    descriptors.push_back({file.fd.get(), file.direct_fd.get()});
  }
  ASSIGN_OR_RETURN(
      BackendChoice choice,
      make_backend(job.loader, descriptors,
                   {.threads = job.threads, .queue_depth = job.queue_depth, .cpus = job.cpus}));
  FillResult result{.loader = std::string(choice.backend->Name()),
                    .fallbacks = std::move(choice.fallbacks)};
  const std::vector<ReadFile> files = DescribeFiles(job.files, choice.direct, &result.fallbacks);
  const std::vector<ReadJob> jobs = JobsFor(job.reads, arenas);
  const auto landed = [&](uint64_t id) {
    job.gate.Landed(job.reads.groups_of_read[id]);
    job.progress.Add(job.reads.reads[id].must_bytes);
    job.progress.Tick();
  };
  const Stopwatch reading;
  ASSIGN_OR_RETURN(ExecutorResult done,
                   RunReads(*choice.backend, jobs, files, {}, landed, &job.cancelled));
  result.read_seconds = reading.Seconds();
  result.bytes = done.read_bytes;
  result.copied_bytes = done.read_bytes - done.direct_bytes;
  for (Fallback& fallback : done.fallbacks) result.fallbacks.push_back(std::move(fallback));
  return result;
}

}  // namespace llmrun
