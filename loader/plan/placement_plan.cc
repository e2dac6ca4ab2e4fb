#include "loader/plan/placement_plan.h"

#include <algorithm>
#include <string>

#include "base/checked.h"
#include "base/units.h"
#include "loader/plan/file_order.h"
#include "loader/plan/numa_nodes.h"
#include "memory/arena.h"

namespace llmrun {
namespace {

uint64_t EndOf(const FileExtent& extent) { return extent.offset + extent.bytes; }

// Segments without their places in memory.
std::vector<Segment> MergeTensors(const TensorIndex& index, std::vector<TensorPlacement>* tensors) {
  std::vector<Segment> segments;
  tensors->resize(index.tensors().size());
  for (const TensorId id : TensorsInFileOrder(index)) {
    const FileExtent& extent = index.at(id).extent;
    const bool adjacent = !segments.empty() && segments.back().extent.file == extent.file &&
                          extent.offset - EndOf(segments.back().extent) < kMaxSegmentGapBytes;
    if (adjacent) {
      FileExtent& grown = segments.back().extent;
      grown.bytes = EndOf(extent) - grown.offset;
    } else {
      segments.push_back({.extent = extent});
    }
    (*tensors)[static_cast<uint32_t>(id)] = {id, static_cast<uint32_t>(segments.size() - 1)};
  }
  return segments;
}

// Lays segments one after the other, whole blocks of kImageAlignment each: no block belongs to two
// of them, so that an aligned read of one never touches another. Returns the bytes of all blocks.
uint64_t PlaceSegments(std::vector<Segment>* segments) {
  uint64_t next_block = 0;
  for (Segment& segment : *segments) {
    const uint64_t first = AlignDown(segment.extent.offset, kImageAlignment);
    const uint64_t end = AlignUp(EndOf(segment.extent), kImageAlignment);
    segment.arena = 0;
    segment.arena_offset = next_block + (segment.extent.offset - first);
    next_block += end - first;
  }
  return next_block;
}

struct FreePages {
  uint64_t of_1g = 0;
  uint64_t of_2m = 0;
};

// What the tiles take from ordinary memory. Huge pages come from their pools; those that a pool
// lacks step down the ladder of Arena until ordinary memory has to give them.
uint64_t OrdinaryBytes(const std::vector<PageTile>& tiles, const FreePages& free,
                       HugePagesPolicy policy) {
  uint64_t ordinary_bytes = 0;
  uint64_t bytes_1g = 0;
  uint64_t bytes_2m = 0;
  for (const PageTile& tile : tiles) {
    if (tile.kind == PageKind::k1G) {
      bytes_1g += tile.bytes;
    } else if (tile.kind == PageKind::k2M) {
      bytes_2m += tile.bytes;
    } else {
      ordinary_bytes += tile.bytes;
    }
  }
  if (policy == HugePagesPolicy::kRequire) return ordinary_bytes;
  bytes_2m += bytes_1g - std::min(bytes_1g, free.of_1g * kGiB);
  return ordinary_bytes + bytes_2m - std::min(bytes_2m, free.of_2m * 2 * kMiB);
}

PageKind WantedKind(HugePages pages) {
  switch (pages) {
    case HugePages::kThp:
      return PageKind::kThp;
    case HugePages::k2M:
      return PageKind::k2M;
    case HugePages::k1G:
      return PageKind::k1G;
    case HugePages::kOff:
    case HugePages::kAuto:
      break;
  }
  return PageKind::k4K;
}

bool AsksForHugePages(const LoadOptions& options) {
  return options.hugepages != HugePages::kOff && options.hugepages != HugePages::kAuto;
}

bool RequiresHugePages(const LoadOptions& options) {
  return options.policy == HugePagesPolicy::kRequire && options.hugepages != HugePages::kOff;
}

// A model smaller than one page of the wanted kind gets none of them.
void ExplainTooSmall(const LoadOptions& options, const ArenaPlan& arena, uint64_t weights_bytes,
                     std::vector<Fallback>* fallbacks) {
  if (!AsksForHugePages(options) || arena.tiles.empty()) return;
  const PageKind wanted = WantedKind(options.hugepages);
  const auto is_wanted = [&](const PageTile& tile) { return tile.kind == wanted; };
  if (std::any_of(arena.tiles.begin(), arena.tiles.end(), is_wanted)) return;
  fallbacks->push_back(
      {.wanted = fmt::format("{} pages", NameOf(wanted)),
       .got = fmt::format("{} pages", NameOf(arena.tiles.front().kind)),
       .why = fmt::format("the weights take {}, less than one page of {}",
                          FormatBytes(weights_bytes), FormatBytes(PageBytes(wanted))),
       .fix = "--hugepages-policy=require rounds up to whole pages"});
}

Status PlanMapped(const LoadOptions& options, PlacementPlan* plan) {
  plan->loader = LoaderKind::kMmap;
  plan->mapped = true;
  for (Segment& segment : plan->segments) {
    segment.arena = segment.extent.file;
    segment.arena_offset = segment.extent.offset;
  }
  const std::string why = "mmap shows the page cache, whose pages the kernel chooses";
  const std::string fix = "--loader=io_uring or --loader=read";
  if (RequiresHugePages(options)) {
    return MakeFixableError(ErrorCode::kUnavailable, fix, "--hugepages={} is required, but {}",
                            NameOf(options.hugepages), why);
  }
  if (AsksForHugePages(options)) {
    plan->fallbacks.push_back({fmt::format("{} pages", NameOf(WantedKind(options.hugepages))),
                               "pages of the page cache (4K)", why, fix});
  }
  if (!plan->nodes.empty()) {
    plan->fallbacks.push_back({fmt::format("weights on {}", NameOf(plan->nodes)),
                               "page cache on the node of whoever read the file first",
                               "memory policies do not bind shared file mappings", fix});
  }
  return {};
}

LoaderKind FasterReader(const TensorIndex& index, const PlanInputs& inputs) {
  uint64_t file_bytes = 0;
  for (const GgufFile& file : index.files()) file_bytes += file.file_bytes;
  return inputs.cached_bytes >= file_bytes ? LoaderKind::kRead : LoaderKind::kIoUring;
}

// The loader for weights that fit, or the reason to map them, or an error.
Result<LoaderKind> ChooseLoader(const TensorIndex& index, const LoadOptions& options,
                                const PlanInputs& inputs, uint64_t needed_bytes,
                                uint64_t limit_bytes, PlacementPlan* plan) {
  if (needed_bytes > limit_bytes) {
    const std::string why = fmt::format("{} of memory are needed, {}{} may be used (5% stay free)",
                                        FormatBytes(needed_bytes), FormatBytes(limit_bytes),
                                        plan->nodes.empty() ? "" : " on " + NameOf(plan->nodes));
    if (options.loader != LoaderKind::kAuto || RequiresHugePages(options)) {
      return MakeFixableError(ErrorCode::kResource,
                              options.stream != nullptr
                                  ? "save the model to a file and use --loader=mmap"
                                  : "--loader=mmap, a smaller quantization, or more free memory",
                              "the weights do not fit: {}", why);
    }
    plan->fallbacks.push_back({"weights in memory of their own", "mmap", why, "free some memory"});
    return LoaderKind::kMmap;
  }
  return options.loader == LoaderKind::kAuto ? FasterReader(index, inputs) : options.loader;
}

// Bytes of a stream come by read(2), whatever was wished for.
LoadOptions OptionsFor(const LoadOptions& asked, std::vector<Fallback>* fallbacks) {
  if (asked.stream == nullptr) return asked;
  LoadOptions options = asked;
  options.loader = LoaderKind::kRead;
  if (asked.loader == LoaderKind::kMmap || asked.loader == LoaderKind::kIoUring) {
    fallbacks->push_back({.wanted = std::string(NameOf(asked.loader)),
                          .got = "reads from the pipe",
                          .why = "bytes of a pipe come once and in their order",
                          .fix = "save the model to a file"});
  }
  return options;
}

}  // namespace

Result<PlacementPlan> PlanPlacement(const TensorIndex& index, const Machine& machine,
                                    const LoadOptions& asked, const PlanInputs& inputs) {
  PlacementPlan plan;
  const LoadOptions options = OptionsFor(asked, &plan.fallbacks);
  ASSIGN_OR_RETURN(plan.nodes, NodesFor(options.numa, machine));
  if (options.loader == LoaderKind::kResident) {
    return MakeFixableError(ErrorCode::kUsage, "llm-run resident list",
                            "--loader=resident places nothing: the weights lie where they are");
  }
  plan.segments = MergeTensors(index, &plan.tensors);
  if (options.loader == LoaderKind::kMmap) {
    RETURN_IF_ERROR(PlanMapped(options, &plan));
    return plan;
  }

  const uint64_t weights_bytes = PlaceSegments(&plan.segments);
  const FreePages free{FreeHugePages(machine, plan.nodes, PageKind::k1G),
                       FreeHugePages(machine, plan.nodes, PageKind::k2M)};
  ArenaPlan arena{.tiles = PlanTiles({.bytes = weights_bytes,
                                      .pages = options.hugepages,
                                      .policy = options.policy,
                                      .free_1g = free.of_1g,
                                      .free_2m = free.of_2m}),
                  .nodes = plan.nodes};
  for (const PageTile& tile : arena.tiles) arena.bytes += tile.bytes;

  ASSIGN_OR_RETURN(plan.loader, ChooseLoader(index, options, inputs,
                                             OrdinaryBytes(arena.tiles, free, options.policy),
                                             MemoryLimit(machine, plan.nodes), &plan));
  if (plan.loader == LoaderKind::kMmap) {
    RETURN_IF_ERROR(PlanMapped(options, &plan));
    return plan;
  }
  ExplainTooSmall(options, arena, weights_bytes, &plan.fallbacks);
  if (weights_bytes > 0) plan.arenas.push_back(std::move(arena));
  return plan;
}

PlacementPlan PlanImage(const TensorIndex& index, LoaderKind loader, const PlanInputs& inputs) {
  PlacementPlan plan;
  plan.loader = loader == LoaderKind::kAuto ? FasterReader(index, inputs) : loader;
  plan.segments = MergeTensors(index, &plan.tensors);
  const uint64_t weights_bytes = PlaceSegments(&plan.segments);
  if (weights_bytes > 0) plan.arenas.push_back({.bytes = weights_bytes, .tiles = {}, .nodes = {}});
  return plan;
}

uint64_t ArenaOffset(const PlacementPlan& plan, const TensorIndex& index, TensorId tensor) {
  const Segment& segment = plan.segments[plan.tensors[static_cast<uint32_t>(tensor)].segment];
  return segment.arena_offset + (index.at(tensor).extent.offset - segment.extent.offset);
}

}  // namespace llmrun
