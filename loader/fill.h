// Carrying out a read plan: bytes come into their arenas (or into the page cache, when mapped), and
// the gate opens group by group. Runs on the loading thread. Internal to the loader.
//
// Threads: Single-thread. Failure: as RunReads() and MappedFile::Populate(); nothing is in flight
// afterwards, whatever happened. The gate is left to the caller then.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "loader/group_gate.h"
#include "loader/io/mapped_file.h"
#include "loader/io/model_file.h"
#include "loader/plan/read_plan.h"
#include "loader/progress_meter.h"
#include "loader/weights_internal.h"
#include "memory/arena.h"

namespace llmrun {

struct FillJob {
  LoaderKind loader = LoaderKind::kRead;
  const ReadPlan& reads;
  std::span<const ModelFile> files;
  int threads = 1;
  uint32_t queue_depth = 16;
  std::vector<unsigned> cpus = {};  // where threads may run; empty: anywhere
  GroupGate& gate;
  ProgressMeter& progress;
  const std::atomic<bool>& cancelled;
};

struct FillResult {
  std::string loader;  // what was used
  double read_seconds = 0;
  uint64_t bytes = 0;
  uint64_t copied_bytes = 0;  // of these, through the page cache into an arena
  std::vector<Fallback> fallbacks = {};
};

Result<FillResult> FillArenas(const FillJob& job, std::span<const Arena> arenas,
                              const BackendFactory& make_backend);
// `mappings`: one a file.
Result<FillResult> FillMapped(const FillJob& job, std::span<const MappedFile> mappings);

}  // namespace llmrun
