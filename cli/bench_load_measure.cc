#include "cli/bench_load_measure.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>

#include "base/small_file.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "cli/interrupt.h"
#include "loader/weights.h"
#include "sched/partition.h"
#include "sched/read_rate.h"

namespace llmrun {
namespace {

// Of /proc/self/status. Hugetlb pages are not part of the resident set.
struct MemoryUse {
  uint64_t peak_resident = 0;
  uint64_t resident = 0;
  uint64_t resident_file = 0;
  uint64_t hugetlb = 0;
};

uint64_t StatusBytes(const std::string& status, std::string_view field) {
  const size_t at = status.find(field);
  if (at == std::string::npos) return 0;
  return std::strtoull(status.c_str() + at + field.size(), nullptr, 10) * kKiB;
}

std::optional<MemoryUse> ReadMemoryUse() {
  const Result<std::string> status = ReadSmallFile("/proc/self/status");
  if (!status) return std::nullopt;
  return MemoryUse{.peak_resident = StatusBytes(*status, "VmHWM:"),
                   .resident = StatusBytes(*status, "VmRSS:"),
                   .resident_file = StatusBytes(*status, "RssFile:"),
                   .hugetlb = StatusBytes(*status, "HugetlbPages:")};
}

// The peak starts again at what is resident now.
std::optional<MemoryUse> ResetMemoryPeak() {
  if (!WriteSmallFile("/proc/self/clear_refs", "5")) return std::nullopt;
  return ReadMemoryUse();
}

std::optional<uint64_t> PeakGrowth(const std::optional<MemoryUse>& before,
                                   const std::optional<MemoryUse>& after, int64_t cache_growth) {
  if (!before || !after) return std::nullopt;
  const auto difference = [](uint64_t a, uint64_t b) {
    return static_cast<int64_t>(a) - static_cast<int64_t>(b);
  };
  const int64_t own = difference(after->peak_resident, before->resident) -
                      difference(after->resident_file, before->resident_file) +
                      difference(after->hugetlb, before->hugetlb);
  const int64_t sum = std::max<int64_t>(own, 0) + std::max<int64_t>(cache_growth, 0);
  return static_cast<uint64_t>(sum);
}

Result<double> TimeFirstPass(const Weights& weights, const Machine& machine) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ThreadPool> pool, PoolOfAllCpus(machine));
  const std::vector<IndexedTensor>& tensors = weights.index().tensors();
  std::atomic<uint64_t> sum = 0;
  const Stopwatch watch;
  pool->Run([&](int member) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      for (const TensorPiece& piece : weights.Pieces(static_cast<TensorId>(i))) {
        const Range part =
            StaticRange(static_cast<int64_t>(piece.view.bytes), pool->size(), member, 4096);
        sum += SumWords({piece.view.data + part.begin, static_cast<size_t>(part.size())});
      }
    }
  });
  return watch.Seconds();
}

}  // namespace

Result<std::unique_ptr<ThreadPool>> PoolOfAllCpus(const Machine& machine) {
  ThreadPoolOptions options;
  options.threads = machine.effective_cpus;
  options.effective_cpus = machine.effective_cpus;
  return ThreadPool::Create(options);
}

Result<Arena> MakeArena(uint64_t bytes, HugePages pages, const Machine& machine, bool fresh) {
  TileRequest request{.bytes = bytes, .pages = pages};
  for (const NumaNode& node : machine.nodes) {
    request.free_1g += node.pool_1g.free_pages;
    request.free_2m += node.pool_2m.free_pages;
  }
  ArenaSpec spec;
  spec.tiles = PlanTiles(request);
  spec.populate_threads = machine.effective_cpus;
  spec.touch_later = fresh;
  return Arena::Reserve(spec);
}

void TouchMemory(const TensorIndex& index, HugePages pages, const Machine& machine) {
  const Result<Arena> for_weights = MakeArena(index.total_bytes(), pages, machine, false);
  const Result<Arena> for_cache = MakeArena(index.total_bytes(), HugePages::kThp, machine, false);
}

Result<LoadSample> MeasureLoad(const Combination& combination, const TensorIndex& index,
                               const Machine& machine, const CacheControl& cache) {
  LoadSample sample;
  std::atomic<Weights*> loading = nullptr;  // set once there is something to cancel
  LoadOptions options = combination.load;
  options.progress = [&sample, &loading](const LoadProgress& progress) {
    sample.progress.push_back(progress);
    Weights* weights = loading.load();
    if (Interrupted() && weights != nullptr) weights->Cancel();
  };
  sample.progress.reserve(4096);  // so that the loading thread does not allocate
  ASSIGN_OR_RETURN(sample.cache, cache.prepare(combination.cold));
  if (MovesBytes(combination)) TouchMemory(index, options.hugepages, machine);
  const std::optional<MemoryUse> before = ResetMemoryPeak();
  ASSIGN_OR_RETURN(const std::unique_ptr<Weights> weights, StartLoad(index, machine, options));
  loading = weights.get();
  ASSIGN_OR_RETURN(sample.report, weights->Finish());
  const std::optional<MemoryUse> after = ReadMemoryUse();
  ASSIGN_OR_RETURN(const uint64_t cached, cache.cached_bytes());
  sample.peak_bytes =
      PeakGrowth(before, after,
                 static_cast<int64_t>(cached) - static_cast<int64_t>(sample.cache.cached_bytes));
  ASSIGN_OR_RETURN(sample.pass_seconds, TimeFirstPass(*weights, machine));
  return sample;
}

}  // namespace llmrun
