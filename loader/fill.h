// Carrying out a read plan: bytes come into their arenas (or into the page cache, when mapped), and
// whoever waits for them is told read by read. Runs on the loading thread. Internal to the loader.
//
// Threads: Single-thread. Failure: as RunReads() and MappedFile::Populate(); nothing is in flight
// afterwards, whatever happened.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "base/trace.h"
#include "loader/io/mapped_file.h"
#include "loader/io/model_file.h"
#include "loader/plan/read_plan.h"
#include "loader/weights_internal.h"
#include "memory/arena.h"
#include "memory/node_set.h"

namespace llmrun {

struct FillJob {
  LoaderKind loader = LoaderKind::kRead;
  const ReadPlan& reads;
  std::span<const ModelFile> files;
  int threads = 1;
  uint32_t queue_depth = 16;
  uint64_t request_bytes = 4ULL << 20;
  IoPoll io_poll = IoPoll::kNone;
  bool tune = false;                // change these two while reading, as RequestTuner finds
  std::vector<unsigned> cpus = {};  // where threads may run; empty: anywhere
  // `auto`: what the page cache holds is copied from there by threads, the rest is read directly.
  bool use_cache = false;
  int populate_threads = 1;  // for each arena: touch pages ahead of the reads
  // Where those who read into an arena or touch its pages run ([arenas]; an empty one: anywhere;
  // none: as `cpus`).
  std::vector<std::vector<unsigned>> arena_cpus = {};
  std::function<void(size_t read)> landed;  // Thread-safe
  std::function<void()> tick;               // now and then, on one thread
  TraceLog* trace = nullptr;
  NodeSet cache_nodes = {};  // mapped: where pages of the page cache that are not there yet go
  const std::atomic<bool>& cancelled;
};

struct FillResult {
  std::string loader;        // what was used
  uint32_t rings = 0;        // of io_uring
  uint32_t queue_depth = 0;  // of all rings together, in the end; 0: none was used
  uint64_t request_bytes = 0;
  IoPoll io_poll = IoPoll::kNone;  // of the rings
  double read_seconds = 0;
  uint64_t bytes = 0;
  uint64_t copied_bytes = 0;  // of these, through the page cache into an arena
  std::vector<Fallback> fallbacks = {};
};

// Touches the arenas' pages as the reads need them (Arena::EnsurePages). Into several arenas, each
// has a backend and threads of its own, which run on CPUs of its node.
Result<FillResult> FillArenas(const FillJob& job, std::span<Arena> arenas,
                              const BackendFactory& make_backend);
// `mappings`: one a file.
Result<FillResult> FillMapped(const FillJob& job, std::span<const MappedFile> mappings);

}  // namespace llmrun
