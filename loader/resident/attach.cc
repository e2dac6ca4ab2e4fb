#include "loader/resident/attach.h"

#include <sys/mman.h>

#include <cerrno>
#include <span>
#include <utility>

#include "base/stopwatch.h"
#include "loader/resident/store.h"
#include "loader/row_packing.h"

namespace llmrun {
namespace {

// The image is laid out as this index wants it, which follows from the files being the same.
Status CheckImage(const TensorIndex& index, const ResidentManifest& manifest) {
  bool same = manifest.parts.size() == index.files().size();
  for (size_t i = 0; same && i < index.files().size(); ++i) {
    same = manifest.parts[i].header_bytes == index.files()[i].data_offset;
  }
  const PlacementPlan plan = PlanImages(index, LoaderKind::kResident, {}, manifest.images());
  same = same && !plan.arenas.empty() && plan.arenas.size() == manifest.data.size();
  for (size_t i = 0; same && i < plan.arenas.size(); ++i) {
    const ResidentData& data = manifest.data[i];
    if (plan.arenas[i].bytes == data.image_bytes && data.image_bytes <= data.bytes) continue;
    return MakeError(ErrorCode::kUnavailable, "{}: image of {} bytes, {} expected", data.path,
                     data.image_bytes, plan.arenas[i].bytes);
  }
  if (same) return {};
  return MakeError(ErrorCode::kUnavailable, "{}: {} images of {} files, {} of {} expected",
                   manifest.data.front().path, manifest.data.size(), manifest.parts.size(),
                   plan.arenas.size(), index.files().size());
}

// We know the order of their rows.
Status CheckPacking(const ResidentManifest& manifest, const RowPacking* packing) {
  const uint32_t known = packing == nullptr ? 0 : packing->version;
  if (manifest.packing_version == 0 || manifest.packing_version == known) return {};
  return MakeError(ErrorCode::kUnavailable,
                   "the resident weights are packed in version {}, {} expected",
                   manifest.packing_version, known);
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

Result<Arena> MapData(const ResidentData& data) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenData(data));
  void* mapped = ::mmap(nullptr, data.bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return OsError(errno, fmt::format("{}: mmap", data.path));
  const PageKind kind = IsHugetlb(data.pages) ? data.pages : PageKind::k4K;
  return Arena::Adopt({static_cast<std::byte*>(mapped), data.bytes}, kind);
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
  RETURN_IF_ERROR(CheckPacking(store->manifest, options.packing));
  GivenMemory memory;
  ASSIGN_OR_RETURN(memory.fallbacks, CompareWishes(store->manifest, options));
  memory.images = store->manifest.images();
  memory.filled = true;
  memory.packed = store->manifest.packing_version != 0;
  struct Mapped {
    std::byte* at;
    uint64_t bytes;
    PageKind pages;
  };
  std::vector<Mapped> mapped;
  for (const ResidentData& data : store->manifest.data) {
    ASSIGN_OR_RETURN(Arena arena, MapData(data));
    mapped.push_back({arena.data(), arena.size_bytes(), data.pages});
    memory.arenas.push_back(std::move(arena));
  }
  memory.when_open = [mapped = std::move(mapped)] {
    for (const Mapped& image : mapped) EnterLargePages(image.at, image.bytes, image.pages);
  };
  return std::optional(std::move(memory));
}

}  // namespace

Result<std::vector<Fallback>> CompareWishes(const ResidentManifest& manifest,
                                            const LoadOptions& options) {
  std::vector<Fallback> fallbacks;
  const std::string& model = manifest.parts.front().path;
  const std::string fix =
      fmt::format("llm-run resident drop -m {} && {}", model, LoadCommand(model, options));
  const std::string pages_fix = fmt::format("{} --hugepages={}", fix, NameOf(options.hugepages));
  const PageKind pages = manifest.Pages();
  const bool require = options.policy == HugePagesPolicy::kRequire;
  const bool met = Meets(pages, options.hugepages) &&
                   !(require && options.hugepages == HugePages::kAuto && !IsHugetlb(pages));
  if (!met && require) {
    return MakeFixableError(ErrorCode::kUnavailable, pages_fix,
                            "--hugepages={} is required, but the resident weights lie in {} pages",
                            NameOf(options.hugepages), NameOf(pages));
  }
  if (!met) {
    fallbacks.push_back({fmt::format("{} pages", NameOf(options.hugepages)),
                         fmt::format("{} pages", NameOf(pages)), "the resident weights lie in them",
                         pages_fix});
  }
  if (options.pack && manifest.packing_version == 0) {
    fallbacks.push_back({"packed weights", "weights as they are in the file",
                         "the resident weights were loaded so", fix});
  }
  if (options.numa.mode != NumaMode::kAuto && options.numa != manifest.numa) {
    fallbacks.push_back({fmt::format("--numa={}", NameOf(options.numa)),
                         fmt::format("{}, as they were loaded", NameOf(manifest.numa)),
                         "resident weights stay where they are",
                         fmt::format("{} --numa={}", fix, NameOf(options.numa))});
  }
  return fallbacks;
}

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
