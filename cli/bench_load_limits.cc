#include "cli/bench_load_limits.h"

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/stopwatch.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "cli/bench_load_measure.h"
#include "cli/fio.h"
#include "cli/stats.h"
#include "loader/io/mapped_file.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

constexpr uint64_t kMostCopyBytes = kGiB;  // far more than any cache holds
constexpr int kCopyPasses = 3;

// Best of some passes in which all CPUs copy from the page cache into memory that is there already,
// or into memory that each pass takes anew.
Result<double> MeasureCopyRate(const TensorIndex& index, const Machine& machine, HugePages pages,
                               bool fresh) {
  const GgufFile& file = *std::ranges::max_element(index.files(), {}, &GgufFile::file_bytes);
  const uint64_t bytes = std::min(file.file_bytes, kMostCopyBytes);
  const UniqueFd fd(::open(file.label.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return OsError(errno, file.label);
  ASSIGN_OR_RETURN(const MappedFile mapping, MappedFile::Map(fd.get(), bytes, file.label));
  RETURN_IF_ERROR(mapping.Populate(0, bytes));
  ASSIGN_OR_RETURN(const std::unique_ptr<ThreadPool> pool, PoolOfAllCpus(machine));
  std::optional<Arena> arena;
  double best_seconds = 0;
  for (int pass = 0; pass < kCopyPasses; ++pass) {
    if (fresh || pass == 0) {
      arena.reset();
      ASSIGN_OR_RETURN(arena, MakeArena(bytes, pages, machine, fresh));
    }
    const Stopwatch watch;
    pool->Run([&](int member) {
      const Range part = StaticRange(static_cast<int64_t>(bytes), pool->size(), member, 4096);
      std::memcpy(arena->data() + part.begin, mapping.bytes().data() + part.begin,
                  static_cast<size_t>(part.size()));
    });
    const double seconds = watch.Seconds();
    best_seconds = pass == 0 ? seconds : std::min(best_seconds, seconds);
  }
  return static_cast<double>(bytes) / best_seconds;
}

std::optional<LimitSeries> DeviceLimit(const TensorIndex& index, const Machine& machine) {
  const Result<FioSetup> setup = PrepareFio(machine, index);
  if (!setup) {
    Note("note   no limit of the device: {}", setup.error().OneLine());
    return std::nullopt;
  }
  LimitSeries limit;
  limit.how = FioJson(*setup);
  limit.measure = [setup = *setup, &index] { return RunFio(setup, index); };
  return limit;
}

LimitSeries MemoryLimit(LimitKind kind, HugePages pages, const TensorIndex& index,
                        const Machine& machine) {
  const bool fresh = kind == LimitKind::kFreshMemory;
  LimitSeries limit;
  limit.kind = kind;
  limit.hugepages = pages;
  limit.how = {{"tool", "memcpy from the page cache"},
               {"threads", machine.effective_cpus},
               {"best_of", kCopyPasses}};
  limit.measure = [=, &index, &machine] { return MeasureCopyRate(index, machine, pages, fresh); };
  return limit;
}

}  // namespace

const char* NameOf(LimitKind kind) {
  switch (kind) {
    case LimitKind::kDevice:
      return "device";
    case LimitKind::kMemory:
      return "memory";
    case LimitKind::kFreshMemory:
      return "fresh memory";
  }
  return "";
}

Json LimitSeries::ToJson() const {
  std::vector<double> rates;
  for (const double rate : bytes_per_second) rates.push_back(rate * 1e-9);
  const Stats stats = Summarize(rates);
  const bool device = kind == LimitKind::kDevice;
  Json json = {{"kind", NameOf(kind)},
               {"hugepages", device ? Json(nullptr) : Json(NameOf(hugepages))},
               {"gb_per_s", stats.median},
               {"iqr_gb_per_s", stats.iqr}};
  json.update(how);
  json["samples_gb_per_s"] = rates;
  return json;
}

std::vector<LimitSeries> PrepareLimits(const std::vector<Combination>& combinations,
                                       const TensorIndex& index, const Machine& machine) {
  std::vector<LimitSeries> limits;
  const auto reads_device = [](const Combination& c) { return c.cold && MovesBytes(c); };
  if (std::ranges::any_of(combinations, reads_device)) {
    std::optional<LimitSeries> device = DeviceLimit(index, machine);
    if (device) limits.push_back(std::move(*device));
  }
  // A mapping is not copied: it needs a limit of its own only when nothing else has one.
  for (const bool mapped : {false, true}) {
    for (const Combination& c : combinations) {
      if (c.cold || !MovesBytes(c) || TakesPages(c) == mapped) continue;
      const LimitSeries* known = LimitOf(c, limits);
      if (known != nullptr && (mapped || known->hugepages == c.load.hugepages)) continue;
      limits.push_back(MemoryLimit(LimitKind::kMemory, c.load.hugepages, index, machine));
      if (mapped) continue;
      limits.push_back(MemoryLimit(LimitKind::kFreshMemory, c.load.hugepages, index, machine));
    }
  }
  return limits;
}

const LimitSeries* LimitOf(const Combination& combination, const std::vector<LimitSeries>& limits) {
  if (!MovesBytes(combination)) return nullptr;
  const LimitKind kind = combination.cold ? LimitKind::kDevice : LimitKind::kMemory;
  const LimitSeries* found = nullptr;
  for (const LimitSeries& limit : limits) {
    if (limit.kind != kind) continue;
    const bool same = combination.cold || limit.hugepages == combination.load.hugepages;
    if (same) return &limit;
    if (found == nullptr) found = &limit;
  }
  return found;
}

const LimitSeries* FreshLimitOf(const Combination& combination,
                                const std::vector<LimitSeries>& limits) {
  if (combination.cold || !TakesPages(combination)) return nullptr;
  const auto found = std::ranges::find_if(limits, [&](const LimitSeries& limit) {
    return limit.kind == LimitKind::kFreshMemory && limit.hugepages == combination.load.hugepages;
  });
  return found == limits.end() ? nullptr : &*found;
}

}  // namespace llmrun
