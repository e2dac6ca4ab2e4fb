#include "cli/bench_load_plan.h"

#include <algorithm>

#include "base/units.h"
#include "cli/records.h"
#include "model/weight_packing.h"

namespace llmrun {
namespace {

constexpr uint32_t kSweepDepths[] = {1, 4, 16, 64};
constexpr uint64_t kSweepChunks[] = {256 * kKiB, kMiB, 4 * kMiB, 16 * kMiB};

template <typename T>
void AddOnce(std::vector<T>* list, T value) {
  if (std::ranges::find(*list, value) == list->end()) list->push_back(value);
}

Result<std::vector<LoaderKind>> ParseLoaders(const std::string& text) {
  std::vector<LoaderKind> kinds;
  for (const std::string& name : SplitCommas(text == "all" ? "mmap,read,io_uring,splice" : text)) {
    const std::optional<LoaderKind> kind = ParseLoaderKind(name);
    if (!kind) {
      return MakeFixableError(ErrorCode::kUsage,
                              "--loaders all or a list of mmap,read,io_uring,splice,auto,resident",
                              "'{}' is not a loader", name);
    }
    AddOnce(&kinds, *kind);
  }
  if (kinds.empty()) return MakeError(ErrorCode::kUsage, "no loader was named");
  return kinds;
}

Result<std::vector<HugePages>> ParsePages(const std::string& text) {
  std::vector<HugePages> kinds;
  for (const std::string& name : SplitCommas(text)) {
    const std::optional<HugePages> kind = ParseHugePages(name);
    if (!kind) {
      return MakeFixableError(ErrorCode::kUsage, "a list of off,thp,2M,1G,auto",
                              "'{}' is not a kind of pages", name);
    }
    AddOnce(&kinds, *kind);
  }
  if (kinds.empty()) return MakeError(ErrorCode::kUsage, "no kind of pages was named");
  return kinds;
}

Result<std::vector<int64_t>> ParseThreads(const std::string& text) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, ParseNumberList(text, 0));
  std::vector<int64_t> threads;
  for (const int64_t n : numbers) {
    if (n > kMaxIoThreads) {
      return MakeError(ErrorCode::kUsage, "--threads {}: expected 0 (chosen) to {}", n,
                       kMaxIoThreads);
    }
    AddOnce(&threads, n);
  }
  return threads;
}

Result<std::vector<IoPoll>> ParseIoPolls(const std::string& text) {
  std::vector<IoPoll> polls;
  for (const std::string& name : SplitCommas(text)) {
    const std::optional<IoPoll> poll = ParseIoPoll(name);
    if (!poll) {
      return MakeFixableError(ErrorCode::kUsage, "a list of none,sqpoll,iopoll",
                              "'{}' is not a way of polling", name);
    }
    AddOnce(&polls, *poll);
  }
  if (polls.empty()) return MakeError(ErrorCode::kUsage, "no way of polling was named");
  return polls;
}

Combination MakeCombination(LoaderKind loader, HugePages pages, bool cold) {
  Combination c;
  c.load.loader = loader;
  c.load.packing = &WeightPacking();  // resident weights may be packed
  c.load.hugepages = TakesPages(c) ? pages : HugePages::kAuto;
  if (loader == LoaderKind::kResident) c.load.resident_dir = ResidentDir();
  c.cold = cold;
  return c;
}

// Once as it is, and once hashed where that is asked for.
void AppendHashedToo(Combination c, bool hashed_too, std::vector<Combination>* all) {
  all->push_back(c);
  c.load.hash = true;
  if (hashed_too) all->push_back(c);
}

void AppendSweep(HugePages pages, std::vector<Combination>* all) {
  for (const uint32_t depth : kSweepDepths) {
    for (const uint64_t chunk : kSweepChunks) {
      Combination c = MakeCombination(LoaderKind::kIoUring, pages, true);
      c.load.queue_depth = depth;
      c.load.chunk_bytes = chunk;
      c.load.tune = false;
      c.sweep = true;
      all->push_back(c);
    }
  }
}

}  // namespace

Result<std::vector<Combination>> PlanCombinations(const BenchLoadOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<LoaderKind> loaders, ParseLoaders(options.loaders));
  ASSIGN_OR_RETURN(const std::vector<HugePages> pages, ParsePages(options.hugepages));
  ASSIGN_OR_RETURN(const std::vector<int64_t> threads, ParseThreads(options.threads));
  ASSIGN_OR_RETURN(const std::vector<IoPoll> polls, ParseIoPolls(options.io_polls));
  std::vector<Combination> all;
  for (const bool cold : {true, false}) {
    if (options.cache == (cold ? "warm" : "cold")) continue;
    for (const LoaderKind loader : loaders) {
      for (const HugePages kind : pages) {
        // Those that choose no pages: one row is enough.
        if (!TakesPages(MakeCombination(loader, kind, cold)) && kind != pages.front()) continue;
        // io_uring has no threads to choose, and to attach takes none.
        const bool threaded = loader != LoaderKind::kIoUring && loader != LoaderKind::kResident;
        Combination c = MakeCombination(loader, kind, cold);
        for (const int64_t n : threads) {
          if (!threaded && n != threads.front()) continue;
          if (threaded) c.load.io_threads = static_cast<int>(n);
          for (const IoPoll poll : polls) {
            if (loader != LoaderKind::kIoUring && poll != polls.front()) continue;
            if (loader == LoaderKind::kIoUring) c.load.io_poll = poll;
            AppendHashedToo(c, options.hash, &all);
          }
        }
      }
    }
  }
  if (options.sweep) AppendSweep(pages.front(), &all);
  return all;
}

bool MovesBytes(const Combination& combination) {
  return combination.load.loader != LoaderKind::kResident;
}

bool TakesPages(const Combination& combination) {
  return combination.load.loader != LoaderKind::kMmap && MovesBytes(combination);
}

std::string_view HugePagesLabel(const Combination& combination) {
  return TakesPages(combination) ? NameOf(combination.load.hugepages) : "-";
}

std::string CombinationLabel(const Combination& combination) {
  const LoadOptions& load = combination.load;
  std::string label = std::string(NameOf(load.loader));
  if (TakesPages(combination)) label += fmt::format(" {}", NameOf(load.hugepages));
  label += combination.cold ? " cold" : " warm";
  if (load.hash) label += " xxh3";
  if (load.io_poll != IoPoll::kNone) label += fmt::format(" {}", NameOf(load.io_poll));
  if (load.io_threads > 0) label += fmt::format(" {} threads", load.io_threads);
  if (combination.sweep) {
    label += fmt::format(" {} x {}", load.queue_depth, FormatBytes(load.chunk_bytes));
  }
  return label;
}

}  // namespace llmrun
