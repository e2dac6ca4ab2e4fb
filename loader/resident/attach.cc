#include "loader/resident/attach.h"

#include <sys/mman.h>

#include <cerrno>
#include <span>
#include <utility>

#include "base/stopwatch.h"
#include "loader/resident/store.h"

namespace llmrun {
namespace {

// The image is laid out as this index wants it, which follows from the files being the same.
Status CheckImage(const TensorIndex& index, const ResidentManifest& manifest) {
  bool same = manifest.parts.size() == index.files().size();
  for (size_t i = 0; same && i < index.files().size(); ++i) {
    same = manifest.parts[i].header_bytes == index.files()[i].data_offset;
  }
  const PlacementPlan plan = PlanImage(index, LoaderKind::kResident, {});
  const uint64_t bytes = plan.arenas.empty() ? 0 : plan.arenas.front().bytes;
  if (same && bytes == manifest.arena_bytes && bytes > 0 && bytes <= manifest.data_bytes) return {};
  return MakeError(ErrorCode::kUnavailable, "{}: image of {} bytes, {} expected",
                   manifest.data_path, manifest.arena_bytes, bytes);
}

bool Meets(PageKind pages, HugePages wanted) {
  switch (wanted) {
    case HugePages::kOff:
    case HugePages::kAuto:
      return true;
    case HugePages::kThp:
      return pages != PageKind::k4K;
    case HugePages::k2M:
      return pages == PageKind::k2M || pages == PageKind::k1G;
    case HugePages::k1G:
      return pages == PageKind::k1G;
  }
  return true;
}

// What was wished about the memory and is not so.
Status CompareWishes(const ResidentManifest& manifest, const LoadOptions& options,
                     std::vector<Fallback>* fallbacks) {
  const std::string fix = fmt::format(
      "llm-run resident drop -m {0} && {1} --hugepages={2}", manifest.parts.front().path,
      LoadCommand(manifest.parts.front().path, options), NameOf(options.hugepages));
  const bool require = options.policy == HugePagesPolicy::kRequire;
  const bool met =
      Meets(manifest.pages, options.hugepages) &&
      !(require && options.hugepages == HugePages::kAuto && !IsHugetlb(manifest.pages));
  if (!met && require) {
    return MakeFixableError(ErrorCode::kUnavailable, fix,
                            "--hugepages={} is required, but the resident weights lie in {} pages",
                            NameOf(options.hugepages), NameOf(manifest.pages));
  }
  if (!met) {
    fallbacks->push_back({fmt::format("{} pages", NameOf(options.hugepages)),
                          fmt::format("{} pages", NameOf(manifest.pages)),
                          "the resident weights lie in them", fix});
  }
  if (options.numa.mode != NumaMode::kOff && options.numa.mode != NumaMode::kAuto) {
    fallbacks->push_back({fmt::format("--numa={}", NameOf(options.numa)),
                          "the nodes they were loaded on", "resident weights stay where they are",
                          "--loader=io_uring"});
  }
  return {};
}

// Page-table entries for large pages: few, and with them smaps tells what lies there. What cannot
// be done here, the first touch does.
void EnterLargePages(std::byte* data, uint64_t bytes, PageKind pages) {
  if (IsHugetlb(pages)) {
    (void)::madvise(data, bytes, MADV_POPULATE_READ);
  } else if (pages == PageKind::kThp) {
    (void)::madvise(data, bytes, MADV_HUGEPAGE);
    for (uint64_t at = 0; at < bytes; at += PageBytes(pages)) {
      (void)::madvise(data + at, kImageAlignment, MADV_POPULATE_READ);  // brings in all of its page
    }
  }
}

Result<Arena> MapData(const ResidentManifest& manifest) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenData(manifest));
  void* mapped = ::mmap(nullptr, manifest.data_bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return OsError(errno, fmt::format("{}: mmap", manifest.data_path));
  const PageKind kind = IsHugetlb(manifest.pages) ? manifest.pages : PageKind::k4K;
  return Arena::Adopt({static_cast<std::byte*>(mapped), manifest.data_bytes}, kind);
}

Result<std::optional<GivenMemory>> TryAttach(const StoreDir& dir, const TensorIndex& index,
                                             const LoadOptions& options) {
  ASSIGN_OR_RETURN(const std::optional<ResidentStore> store,
                   FindStore(dir, index.files().front().label));
  if (!store) return std::optional<GivenMemory>();
  if (!store->stale.empty()) {
    return MakeError(ErrorCode::kUnavailable, "the resident weights cannot be used: {}",
                     store->stale);
  }
  RETURN_IF_ERROR(CheckImage(index, store->manifest));
  GivenMemory memory;
  RETURN_IF_ERROR(CompareWishes(store->manifest, options, &memory.fallbacks));
  ASSIGN_OR_RETURN(memory.arena, MapData(store->manifest));
  memory.filled = true;
  memory.when_open = [data = memory.arena->data(), bytes = memory.arena->size_bytes(),
                      pages = store->manifest.pages] { EnterLargePages(data, bytes, pages); };
  return std::optional(std::move(memory));
}

}  // namespace

std::string LoadCommand(const std::string& model_path, const LoadOptions& options) {
  const bool usual = options.resident_dir == DefaultStoreDir();
  return fmt::format("llm-run resident load -m {}{}{}", model_path, usual ? "" : " --dir ",
                     usual ? "" : options.resident_dir);
}

Result<std::optional<GivenMemory>> AttachStore(const TensorIndex& index,
                                               const LoadOptions& options) {
  const Stopwatch watch;
  ASSIGN_OR_RETURN(const std::optional<StoreDir> dir, StoreDir::Open(options.resident_dir));
  if (!dir) return std::optional<GivenMemory>();
  Result<std::optional<GivenMemory>> memory = TryAttach(*dir, index, options);
  // The store may have been replaced between its manifest and its data.
  if (!memory) memory = TryAttach(*dir, index, options);
  if (!memory) {
    Error error = std::move(memory).error();
    if (error.fix.empty()) error.fix = LoadCommand(index.files().front().label, options);
    return tl::unexpected(std::move(error));
  }
  if (*memory) (*memory)->seconds_before = watch.Seconds();
  return memory;
}

}  // namespace llmrun
