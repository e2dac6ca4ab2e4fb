#include "loader/resident/data_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "base/checked.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "loader/plan/numa_nodes.h"
#include "loader/resident/store_dir.h"
#include "memory/hugepage_pool.h"
#include "memory/page_calls.h"
#include "memory/populate.h"

namespace llmrun {
namespace {

constexpr int kMostThreads = 2;

struct Wish {
  uint64_t bytes = 0;
  NodeSet nodes = {};
  int threads = 1;
};

// Of all who will ever map the file: its pages come where this says, whoever touches them.
Status Bind(std::span<std::byte> range, const NodeSet& nodes, std::vector<Fallback>* fallbacks) {
  if (nodes.empty()) return {};
  const int errnum = SystemPageCalls().Bind(range.data(), range.size(), nodes);
  if (errnum == 0) return {};
  ASSIGN_OR_RETURN(Fallback refused, ExplainNoBinding(nodes, errnum));
  fallbacks->push_back(std::move(refused));
  return {};
}

// `thp`: ask for transparent huge pages, which a tmpfs gives as it is mounted.
Result<DataFile> MakeIn(const std::string& folder, PageKind kind, const Wish& wish, bool thp) {
  const Stopwatch watch;
  UniqueFd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd.valid()) return OsError(errno, fmt::format("{}: a file without a name", folder));
  const uint64_t size_bytes = AlignUp(wish.bytes, PageBytes(kind));
  if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) return OsError(errno, folder);
  void* mapped = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return OsError(errno, fmt::format("{}: mmap", folder));
  const std::span<std::byte> range(static_cast<std::byte*>(mapped), size_bytes);
  DataFile file{.fd = std::move(fd),
                .folder = folder,
                .kind = kind,
                .arena = Arena::Adopt(range, kind),
                .fallbacks = {}};
  RETURN_IF_ERROR(Bind(range, wish.nodes, &file.fallbacks));
  if (thp) (void)::madvise(mapped, size_bytes, MADV_HUGEPAGE);
  const PopulateOutcome outcome = Populate(
      range, {.page_bytes = PageBytes(kind), .threads = wish.threads, .node = OnlyNode(wish.nodes)},
      [&](std::byte* at, uint64_t piece_bytes) {
        return SystemPageCalls().Populate(at, piece_bytes, kind);
      });
  if (outcome.errnum != 0) {
    // A full file system or an empty pool would be SIGBUS at the touch; here it is EFAULT.
    return MakeError(ErrorCode::kResource, "{}: {} of {} could be had: {}", folder,
                     FormatBytes(outcome.done_bytes), FormatBytes(size_bytes),
                     outcome.errnum == EFAULT ? "no more pages" : std::strerror(outcome.errnum));
  }
  file.populate_seconds = watch.Seconds();
  return file;
}

Result<DataFile> MakeOnHugetlbfs(PageKind kind, const Wish& wish, const Machine& machine) {
  const std::vector<HugetlbMount> mounts = HugetlbMounts();
  const auto mount = std::ranges::find(mounts, kind, &HugetlbMount::kind);
  if (mount == mounts.end()) {
    return MakeFixableError(ErrorCode::kUnavailable, MountCommand(kind),
                            "no hugetlbfs with pages of {} is mounted", NameOf(kind));
  }
  const uint64_t needed_pages = AlignUp(wish.bytes, PageBytes(kind)) / PageBytes(kind);
  const uint64_t free_pages = FreeHugePages(machine, wish.nodes, kind);
  if (free_pages < needed_pages) {
    const NodeSet where = wish.nodes.empty() ? NodeSet{machine.nodes.front().os_index} : wish.nodes;
    const char* const have = wish.nodes.size() == 1 ? " has" : " have in equal parts";
    return MakeFixableError(ErrorCode::kUnavailable, ReserveCommand(where, kind, needed_pages),
                            "{} {} free {} pages, {} needed",
                            wish.nodes.empty() ? "there are" : NameOf(wish.nodes) + have,
                            free_pages, NameOf(kind), needed_pages);
  }
  const std::string folder = mount->path + "/" + StoreDirName();
  if (Status ours = MakeOwnFolder(folder); !ours) {
    ours.error().fix = fmt::format("sudo install -d -m 700 -o {} {}", ::geteuid(), folder);
    return tl::unexpected<Error>(std::move(ours).error());
  }
  return MakeIn(folder, kind, wish, /*thp=*/false);
}

// `taken_bytes`: of ordinary memory, since the machine was looked at.
Status CheckRoom(const std::string& folder, const Wish& wish, uint64_t taken_bytes,
                 const Machine& machine) {
  const uint64_t bytes = wish.bytes;
  const uint64_t limit_bytes =
      std::min(MemoryLimit(machine, wish.nodes),
               MemoryLimit(machine, {}) - std::min(MemoryLimit(machine, {}), taken_bytes));
  if (bytes > limit_bytes) {
    return MakeFixableError(ErrorCode::kResource, "free memory, or --loader=mmap without a store",
                            "the weights do not fit: {} of memory are needed, {}{} may be used (5% "
                            "stay free)",
                            FormatBytes(bytes), FormatBytes(limit_bytes),
                            wish.nodes.empty() ? "" : " on " + NameOf(wish.nodes));
  }
  struct statvfs info = {};
  if (::statvfs(folder.c_str(), &info) != 0) return OsError(errno, folder);
  const uint64_t free_bytes = uint64_t{info.f_bavail} * info.f_frsize;
  if (info.f_blocks == 0 || bytes <= free_bytes) return {};  // 0 blocks: without a limit
  return MakeFixableError(ErrorCode::kResource, "sudo mount -o remount,size=90% /dev/shm",
                          "{}: {} are needed, the file system has {} free", folder,
                          FormatBytes(bytes), FormatBytes(free_bytes));
}

// Largest first.
std::vector<PageKind> HugetlbKinds(HugePages pages) {
  switch (pages) {
    case HugePages::k1G:
    case HugePages::kAuto:
      return {PageKind::k1G, PageKind::k2M};
    case HugePages::k2M:
      return {PageKind::k2M};
    case HugePages::kOff:
    case HugePages::kThp:
      break;
  }
  return {};
}

Result<DataFile> MakeDataFile(const std::string& tmpfs_folder, const Wish& wish, HugePages pages,
                              uint64_t taken_bytes, const Machine& machine) {
  std::vector<Fallback> steps;
  const auto finish = [&](DataFile made, const std::string& got) {
    for (Fallback& step : steps) step.got = got;
    made.fallbacks.insert(made.fallbacks.begin(), steps.begin(), steps.end());
    return made;
  };
  for (const PageKind kind : HugetlbKinds(pages)) {
    const bool automatic = pages == HugePages::kAuto;
    // Nobody asked for a gigabyte that stays half empty.
    if (automatic && wish.bytes < PageBytes(kind)) continue;
    Result<DataFile> made = MakeOnHugetlbfs(kind, wish, machine);
    if (made) return finish(*std::move(made), fmt::format("{} pages", NameOf(kind)));
    if (automatic && kind == PageKind::k1G) continue;
    steps.push_back({.wanted = fmt::format("{} pages", NameOf(kind)),
                     .got = {},
                     .why = std::move(made.error().message),
                     .fix = std::move(made.error().fix)});
  }
  RETURN_IF_ERROR(CheckRoom(tmpfs_folder, wish, taken_bytes, machine));
  ASSIGN_OR_RETURN(DataFile made,
                   MakeIn(tmpfs_folder, PageKind::k4K, wish, pages != HugePages::kOff));
  return finish(std::move(made), "pages of tmpfs");
}

}  // namespace

Result<std::vector<DataFile>> MakeDataFiles(const std::string& tmpfs_folder,
                                            const std::vector<ArenaPlan>& arenas, HugePages pages,
                                            const Machine& machine) {
  std::vector<DataFile> files;
  uint64_t taken_bytes = 0;
  for (const ArenaPlan& arena : arenas) {
    const Wish wish{.bytes = arena.bytes,
                    .nodes = arena.nodes,
                    .threads = std::min(kMostThreads, machine.effective_cpus)};
    ASSIGN_OR_RETURN(DataFile file, MakeDataFile(tmpfs_folder, wish, pages, taken_bytes, machine));
    if (!IsHugetlb(file.kind)) taken_bytes += file.arena.size_bytes();
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace llmrun
