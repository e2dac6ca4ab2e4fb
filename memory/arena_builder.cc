#include "memory/arena_builder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "memory/hugepage_pool.h"
#include "memory/populate.h"

namespace llmrun {
namespace {

PageKind OneStepDown(PageKind kind) {
  CHECK(kind != PageKind::k4K);
  return static_cast<PageKind>(static_cast<int>(kind) - 1);
}

constexpr char kThpFix[] = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled";

std::string FixFor(const PageTile& run, const NodeSet& nodes) {
  if (run.kind == PageKind::kThp) return kThpFix;
  return ReserveCommand(nodes, run.kind, run.bytes / PageBytes(run.kind));
}

}  // namespace

ArenaBuilder::ArenaBuilder(const ArenaSpec& spec, std::byte* base, PageCalls& calls)
    : spec_(spec),
      calls_(calls),
      at_(base),
      todo_(spec.tiles.begin(), spec.tiles.end()),
      may_bind_(!spec.nodes.empty()) {}

Status ArenaBuilder::Build() {
  bool checked_available = false;
  while (!todo_.empty()) {
    const PageTile run = todo_.front();
    todo_.pop_front();
    if (!IsHugetlb(run.kind) && !checked_available) {
      RETURN_IF_ERROR(CheckAvailable(run));
      checked_available = true;
    }
    ASSIGN_OR_RETURN(const Taken taken, Take(run));
    Accept(run.kind, taken.bytes);
    if (taken.bytes < run.bytes) RETURN_IF_ERROR(StepDown(run, taken));
  }
  return {};
}

void ArenaBuilder::Accept(PageKind kind, uint64_t bytes) {
  at_ += bytes;
  if (bytes == 0) return;
  if (!got.empty() && got.back().kind == kind) {
    got.back().bytes += bytes;
  } else {
    got.push_back({kind, bytes});
  }
}

// Called once, before the first run that comes from ordinary memory; all that is left to do does.
// Hugetlb pages were set aside when their pool was filled and are part of neither number.
Status ArenaBuilder::CheckAvailable(const PageTile& first) {
  uint64_t needed_bytes = first.bytes;
  for (const PageTile& run : todo_) needed_bytes += run.bytes;
  needed_bytes += needed_bytes / 512;  // page tables: 8 bytes for each 4 KiB
  const std::optional<AvailableMemory> available = calls_.Available(spec_.nodes);
  if (!available || needed_bytes <= available->bytes) return {};
  return MakeFixableError(ErrorCode::kResource,
                          "free memory or raise the limit, or use --loader=mmap, which needs none",
                          "out of memory: {} needed in {} pages, {} available ({})",
                          FormatBytes(needed_bytes), NameOf(first.kind),
                          FormatBytes(available->bytes), available->source);
}

Result<ArenaBuilder::Taken> ArenaBuilder::Take(const PageTile& run) {
  const uint64_t free_pages = IsHugetlb(run.kind) ? calls_.FreePages(run.kind, spec_.nodes) : 0;
  int errnum = 0;
  uint64_t mapped_bytes = MapWhatPoolGives(run, &errnum);
  // A mapping reserves from all nodes together; the pages of a bound one come from one of them.
  const uint64_t on_node_bytes = free_pages * PageBytes(run.kind);
  if (may_bind_ && IsHugetlb(run.kind) && on_node_bytes < mapped_bytes) {
    errnum = calls_.Unmap(at_ + on_node_bytes, mapped_bytes - on_node_bytes);
    if (errnum != 0) return OsError(errnum, "giving back pages of other nodes");
    mapped_bytes = on_node_bytes;
  }
  if (mapped_bytes == 0) return Taken{0, WhyShort(run, free_pages, errnum)};

  const PageTile mapped{run.kind, mapped_bytes};
  RETURN_IF_ERROR(Bind(mapped));
  if (spec_.touch_later) {
    return Taken{mapped_bytes, mapped_bytes == run.bytes ? "" : WhyShort(run, free_pages, errnum)};
  }
  PopulateSpec how;
  how.page_bytes = PageBytes(run.kind);
  how.threads = spec_.populate_threads;
  how.node = OnlyNode(spec_.nodes);
  const Stopwatch watch;
  const PopulateOutcome outcome =
      Populate({at_, mapped_bytes}, how,
               [&](std::byte* at, uint64_t bytes) { return calls_.Populate(at, bytes, run.kind); });
  populate_seconds += watch.Seconds();

  if (outcome.errnum != 0) {
    errnum = calls_.Unmap(at_ + outcome.done_bytes, mapped_bytes - outcome.done_bytes);
    if (errnum != 0) return OsError(errnum, "taking back pages that could not be populated");
    errnum = outcome.errnum;
  }
  const PageTile had{run.kind, outcome.done_bytes};
  if (run.kind == PageKind::kThp) RETURN_IF_ERROR(CheckThp(had));
  if (had.bytes == run.bytes) return Taken{had.bytes, ""};
  return Taken{had.bytes, WhyShort(run, free_pages, errnum)};
}

// mmap takes all pages of a run from the pool or none, so a short pool is asked again for what it
// says it has, and for half where that is no answer. Returns bytes mapped.
uint64_t ArenaBuilder::MapWhatPoolGives(const PageTile& run, int* errnum) {
  const uint64_t page_bytes = PageBytes(run.kind);
  uint64_t pages = run.bytes / page_bytes;
  while (pages > 0) {
    const int map_errnum = calls_.Map(at_, pages * page_bytes, run.kind);
    if (map_errnum == 0) return pages * page_bytes;
    *errnum = map_errnum;
    if (map_errnum != ENOMEM || !IsHugetlb(run.kind)) return 0;
    const uint64_t free_pages = calls_.FreePages(run.kind, {});
    pages = free_pages < pages ? free_pages : pages / 2;
  }
  return 0;
}

Status ArenaBuilder::Bind(const PageTile& run) {
  if (!may_bind_) return {};
  const int errnum = calls_.Bind(at_, run.bytes, spec_.nodes);
  if (errnum == 0) return {};
  ASSIGN_OR_RETURN(Fallback refused, ExplainNoBinding(spec_.nodes, errnum));
  may_bind_ = false;
  fallbacks.push_back(std::move(refused));
  return {};
}

// The kernel gives transparent huge pages where it has whole free blocks, and 4K pages elsewhere,
// without a word.
Status ArenaBuilder::CheckThp(const PageTile& run) {
  const uint64_t thp_bytes = calls_.ThpBytes(at_, run.bytes).value_or(run.bytes);
  if (thp_bytes >= run.bytes) return {};
  const std::string why = fmt::format("the kernel had transparent huge pages for {} of {}",
                                      FormatBytes(thp_bytes), FormatBytes(run.bytes));
  if (spec_.policy == HugePagesPolicy::kRequire) {
    return MakeFixableError(ErrorCode::kUnavailable, kCompactFix, "THP required: {}", why);
  }
  fallbacks.push_back({"THP", fmt::format("4K pages for {}", FormatBytes(run.bytes - thp_bytes)),
                       why, kCompactFix});
  return {};
}

Status ArenaBuilder::StepDown(const PageTile& run, const Taken& taken) {
  if (run.kind == PageKind::k4K) {
    return MakeError(ErrorCode::kResource, "out of memory: {} of {} in 4K pages: {}",
                     FormatBytes(taken.bytes), FormatBytes(run.bytes), taken.why);
  }
  if (spec_.policy == HugePagesPolicy::kRequire) {
    return MakeFixableError(ErrorCode::kUnavailable, FixFor(run, spec_.nodes),
                            "{} pages required: {}", NameOf(run.kind), taken.why);
  }
  const PageKind below = OneStepDown(run.kind);
  const std::string rest =
      fmt::format("{}{}", NameOf(below), below == PageKind::kThp ? "" : " pages");
  const uint64_t page_bytes = PageBytes(run.kind);
  fallbacks.push_back({fmt::format("{} x {}", run.bytes / page_bytes, NameOf(run.kind)),
                       taken.bytes == 0 ? rest
                                        : fmt::format("{} x {}, then {}", taken.bytes / page_bytes,
                                                      NameOf(run.kind), rest),
                       taken.why, FixFor(run, spec_.nodes)});
  const uint64_t rest_bytes = run.bytes - taken.bytes;
  if (!todo_.empty() && todo_.front().kind == below) {
    todo_.front().bytes += rest_bytes;
  } else {
    todo_.push_front({below, rest_bytes});
  }
  return {};
}

std::string ArenaBuilder::WhyShort(const PageTile& run, uint64_t free_pages, int errnum) const {
  if (errnum == EOPNOTSUPP) return "transparent huge pages are switched off in the kernel";
  if (!IsHugetlb(run.kind)) return std::strerror(errnum);
  if (errnum == EINVAL) return fmt::format("the kernel offers no {} pages", NameOf(run.kind));
  const uint64_t needed = run.bytes / PageBytes(run.kind);
  const NodeSet& nodes = spec_.nodes;
  const std::string where =
      nodes.empty() ? "there are"
                    : NameOf(nodes) + (nodes.size() == 1 ? " has" : " have in equal parts");
  const std::string numbers =
      fmt::format("{} {} free {} pages, {} needed", where, free_pages, NameOf(run.kind), needed);
  if (free_pages < needed) return numbers;
  return fmt::format("{}, but the kernel refused some: {}", numbers, std::strerror(errnum));
}

}  // namespace llmrun
