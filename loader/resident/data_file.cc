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
#include "loader/resident/store_dir.h"
#include "memory/hugepage_pool.h"
#include "memory/page_calls.h"
#include "memory/populate.h"

namespace llmrun {
namespace {

constexpr int kMostThreads = 2;

// `thp`: ask for transparent huge pages, which a tmpfs gives as it is mounted.
Result<DataFile> MakeIn(const std::string& folder, PageKind kind, uint64_t bytes, bool thp,
                        int threads) {
  const Stopwatch watch;
  UniqueFd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd.valid()) return OsError(errno, fmt::format("{}: a file without a name", folder));
  const uint64_t size_bytes = AlignUp(bytes, PageBytes(kind));
  if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) return OsError(errno, folder);
  void* mapped = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return OsError(errno, fmt::format("{}: mmap", folder));
  const std::span<std::byte> range(static_cast<std::byte*>(mapped), size_bytes);
  Arena arena = Arena::Adopt(range, kind);
  if (thp) (void)::madvise(mapped, size_bytes, MADV_HUGEPAGE);
  const PopulateOutcome outcome =
      Populate(range, {.page_bytes = PageBytes(kind), .threads = threads, .node = {}},
               [&](std::byte* at, uint64_t piece_bytes) {
                 return SystemPageCalls().Populate(at, piece_bytes, kind);
               });
  if (outcome.errnum != 0) {
    // A full file system or an empty pool would be SIGBUS at the touch; here it is EFAULT.
    return MakeError(ErrorCode::kResource, "{}: {} of {} could be had: {}", folder,
                     FormatBytes(outcome.done_bytes), FormatBytes(size_bytes),
                     outcome.errnum == EFAULT ? "no more pages" : std::strerror(outcome.errnum));
  }
  return DataFile{.fd = std::move(fd),
                  .folder = folder,
                  .kind = kind,
                  .arena = std::move(arena),
                  .populate_seconds = watch.Seconds(),
                  .fallbacks = {}};
}

Result<DataFile> MakeOnHugetlbfs(PageKind kind, uint64_t bytes, const Machine& machine,
                                 int threads) {
  const std::vector<HugetlbMount> mounts = HugetlbMounts();
  const auto mount = std::ranges::find(mounts, kind, &HugetlbMount::kind);
  if (mount == mounts.end()) {
    return MakeFixableError(ErrorCode::kUnavailable, MountCommand(kind),
                            "no hugetlbfs with pages of {} is mounted", NameOf(kind));
  }
  const uint64_t needed_pages = AlignUp(bytes, PageBytes(kind)) / PageBytes(kind);
  uint64_t free_pages = 0;
  for (const NumaNode& node : machine.nodes) {
    free_pages += (kind == PageKind::k1G ? node.pool_1g : node.pool_2m).free_pages;
  }
  if (free_pages < needed_pages) {
    return MakeFixableError(ErrorCode::kUnavailable,
                            ReserveCommand({machine.nodes.front().os_index, kind, needed_pages}),
                            "there are {} free {} pages, {} needed", free_pages, NameOf(kind),
                            needed_pages);
  }
  const std::string folder = mount->path + "/" + StoreDirName();
  if (Status ours = MakeOwnFolder(folder); !ours) {
    ours.error().fix = fmt::format("sudo install -d -m 700 -o {} {}", ::geteuid(), folder);
    return tl::unexpected<Error>(std::move(ours).error());
  }
  return MakeIn(folder, kind, bytes, /*thp=*/false, threads);
}

Status CheckRoom(const std::string& folder, uint64_t bytes, const Machine& machine) {
  const uint64_t limit_bytes = machine.available_bytes - machine.available_bytes / 20;
  if (bytes > limit_bytes) {
    return MakeFixableError(ErrorCode::kResource, "free memory, or --loader=mmap without a store",
                            "the weights do not fit: {} of memory are needed, {} may be used (5% "
                            "stay free)",
                            FormatBytes(bytes), FormatBytes(limit_bytes));
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

}  // namespace

Result<DataFile> MakeDataFile(const std::string& tmpfs_folder, uint64_t bytes, HugePages pages,
                              const Machine& machine) {
  const int threads = std::min(kMostThreads, machine.effective_cpus);
  std::vector<Fallback> steps;
  const auto finish = [&](DataFile made, const std::string& got) {
    for (Fallback& step : steps) step.got = got;
    made.fallbacks = std::move(steps);
    return made;
  };
  for (const PageKind kind : HugetlbKinds(pages)) {
    const bool automatic = pages == HugePages::kAuto;
    // Nobody asked for a gigabyte that stays half empty.
    if (automatic && bytes < PageBytes(kind)) continue;
    Result<DataFile> made = MakeOnHugetlbfs(kind, bytes, machine, threads);
    if (made) return finish(*std::move(made), fmt::format("{} pages", NameOf(kind)));
    if (automatic && kind == PageKind::k1G) continue;
    steps.push_back({.wanted = fmt::format("{} pages", NameOf(kind)),
                     .got = {},
                     .why = std::move(made.error().message),
                     .fix = std::move(made.error().fix)});
  }
  RETURN_IF_ERROR(CheckRoom(tmpfs_folder, bytes, machine));
  ASSIGN_OR_RETURN(DataFile made,
                   MakeIn(tmpfs_folder, PageKind::k4K, bytes, pages != HugePages::kOff, threads));
  return finish(std::move(made), "pages of tmpfs");
}

}  // namespace llmrun
