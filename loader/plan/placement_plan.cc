#include "loader/plan/placement_plan.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/units.h"
#include "loader/plan/choose_numa.h"
#include "loader/plan/layout.h"
#include "loader/plan/numa_nodes.h"
#include "memory/arena.h"

namespace llmrun {
namespace {

constexpr uint32_t kWhole[] = {1};  // shares of the only image

struct FreePages {
  uint64_t of_1g = 0;
  uint64_t of_2m = 0;
};

FreePages FreePagesOn(const Machine& machine, const NodeSet& nodes) {
  return {FreeHugePages(machine, nodes, PageKind::k1G),
          FreeHugePages(machine, nodes, PageKind::k2M)};
}

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
void ExplainTooSmall(const LoadOptions& options, const ArenaPlan& arena,
                     std::vector<Fallback>* fallbacks) {
  if (!AsksForHugePages(options) || arena.tiles.empty()) return;
  const PageKind wanted = WantedKind(options.hugepages);
  const auto is_wanted = [&](const PageTile& tile) { return tile.kind == wanted; };
  if (std::any_of(arena.tiles.begin(), arena.tiles.end(), is_wanted)) return;
  fallbacks->push_back(
      {.wanted = fmt::format("{} pages", NameOf(wanted)),
       .got = fmt::format("{} pages", NameOf(arena.tiles.front().kind)),
       .why = fmt::format("the weights take {}, less than one page of {}",
                          FormatBytes(arena.used_bytes), FormatBytes(PageBytes(wanted))),
       .fix = "--hugepages-policy=require rounds up to whole pages"});
}

Status PlanMapped(const TensorIndex& index, const LoadOptions& options, PlacementPlan* plan) {
  plan->loader = LoaderKind::kMmap;
  plan->mapped = true;
  plan->mirrored = false;
  plan->numa = {};
  plan->numa_rule.clear();
  LayOut(index, kWhole, plan);
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
  const NumaMode numa = options.numa.mode;
  if (plan->nodes.size() > 1 && (numa == NumaMode::kShard || numa == NumaMode::kMirror)) {
    plan->fallbacks.push_back(
        {numa == NumaMode::kShard ? "rows of each matrix dealt out to the nodes"
                                  : "a copy of the weights on each node",
         "page cache interleaved over the nodes", "mmap shows the file as it is", fix});
  }
  return {};
}

LoaderKind FasterReader(const TensorIndex& index, const PlanInputs& inputs) {
  uint64_t file_bytes = 0;
  for (const GgufFile& file : index.files()) file_bytes += file.file_bytes;
  return inputs.cached_bytes >= file_bytes ? LoaderKind::kRead : LoaderKind::kIoUring;
}

// Why these arenas cannot be had from ordinary memory; nullopt when they can.
std::optional<std::string> Shortage(const std::vector<ArenaPlan>& arenas, const Machine& machine,
                                    const LoadOptions& options, const NodeSet& nodes) {
  const auto short_by = [&](uint64_t needed_bytes,
                            const NodeSet& on) -> std::optional<std::string> {
    const uint64_t limit_bytes = MemoryLimit(machine, on);
    if (needed_bytes <= limit_bytes) return std::nullopt;
    const bool of_machine = limit_bytes == MemoryLimit(machine, {});
    return fmt::format(
        "{} of memory are needed, {}{} may be used ({}5% stay free)", FormatBytes(needed_bytes),
        FormatBytes(limit_bytes), on.empty() ? "" : " on " + NameOf(on),
        of_machine && !machine.memory_limit.empty() ? "limit: " + machine.memory_limit + "; " : "");
  };
  uint64_t all_bytes = 0;
  for (const ArenaPlan& arena : arenas) {
    const uint64_t bytes =
        OrdinaryBytes(arena.tiles, FreePagesOn(machine, arena.nodes), options.policy);
    if (std::optional<std::string> why = short_by(bytes, arena.nodes)) return why;
    all_bytes += bytes;
  }
  return short_by(all_bytes, nodes);
}

// The loader for weights that fit, or the reason to map them, or an error.
Result<LoaderKind> ChooseLoader(const TensorIndex& index, const LoadOptions& options,
                                const PlanInputs& inputs,
                                const std::optional<std::string>& shortage, PlacementPlan* plan) {
  if (!shortage) {
    return options.loader == LoaderKind::kAuto ? FasterReader(index, inputs) : options.loader;
  }
  if (options.loader != LoaderKind::kAuto || RequiresHugePages(options)) {
    std::string fix = "--loader=mmap, a smaller quantization, or more free memory";
    if (options.stream != nullptr) fix = "save the model to a file and use --loader=mmap";
    if (plan->mirrored) fix = "--numa=shard or --numa=interleave, which keep one copy";
    return MakeFixableError(ErrorCode::kResource, std::move(fix), "the weights do not fit: {}",
                            *shortage);
  }
  plan->fallbacks.push_back(
      {"weights in memory of their own", "mmap", *shortage, "free some memory"});
  return LoaderKind::kMmap;
}

// Lays the images out: arenas without tiles, one for all of the weights, or one a node. A node that
// gets no rows has none.
std::vector<ArenaPlan> LayOutImages(const TensorIndex& index, const ImageSpec& spec,
                                    PlacementPlan* plan) {
  const bool one_a_node = spec.nodes.size() > 1 && (spec.numa.mode == NumaMode::kShard ||
                                                    spec.numa.mode == NumaMode::kMirror);
  plan->numa = spec.numa;
  plan->numa_rule = spec.numa_rule;
  plan->nodes = spec.nodes;
  plan->mirrored = one_a_node && spec.numa.mode == NumaMode::kMirror;
  const bool sharded = one_a_node && !plan->mirrored;
  std::vector<uint64_t> image_bytes =
      LayOut(index, sharded ? std::span<const uint32_t>(spec.shares) : kWhole, plan);
  if (plan->mirrored) image_bytes.resize(plan->nodes.size(), image_bytes.front());

  std::vector<ArenaPlan> arenas;
  std::vector<uint32_t> arena_of_image(image_bytes.size());
  for (size_t i = 0; i < image_bytes.size(); ++i) {
    arena_of_image[i] = static_cast<uint32_t>(arenas.size());
    if (image_bytes[i] == 0) continue;
    arenas.push_back({.bytes = image_bytes[i],
                      .used_bytes = image_bytes[i],
                      .tiles = {},
                      .nodes = one_a_node ? NodeSet{plan->nodes[i]} : plan->nodes});
  }
  for (Segment& segment : plan->segments) segment.arena = arena_of_image[segment.arena];
  return arenas;
}

std::vector<ArenaPlan> PlanArenas(const TensorIndex& index, const Machine& machine,
                                  const LoadOptions& options, const ImageSpec& spec,
                                  PlacementPlan* plan) {
  std::vector<ArenaPlan> arenas = LayOutImages(index, spec, plan);
  for (ArenaPlan& arena : arenas) {
    const FreePages free = FreePagesOn(machine, arena.nodes);
    arena.tiles = PlanTiles({.bytes = arena.used_bytes,
                             .pages = options.hugepages,
                             .policy = options.policy,
                             .free_1g = free.of_1g,
                             .free_2m = free.of_2m});
    arena.bytes = 0;
    for (const PageTile& tile : arena.tiles) arena.bytes += tile.bytes;
  }
  return arenas;
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
  if (asked.numa.mode == NumaMode::kShard) {
    fallbacks->push_back({.wanted = "shards on their nodes",
                          .got = "weights interleaved over the nodes",
                          .why = "bytes of a pipe come once",
                          .fix = "save the model to a file"});
  }
  return options;
}

// Of a mapping kAuto is nothing: it places nothing, so there is nothing to decide. Nor can a stream
// be dealt out: a block with rows of two nodes is read twice, and bytes of a pipe come once.
Result<ImageSpec> ImagesOf(const TensorIndex& index, const Machine& machine,
                           const LoadOptions& options) {
  if (options.loader == LoaderKind::kMmap && options.numa.mode == NumaMode::kAuto) {
    return ImageSpec();
  }
  ASSIGN_OR_RETURN(ImageSpec spec, ChooseImages(index, machine, options.numa));
  if (options.stream != nullptr && spec.numa.mode == NumaMode::kShard) {
    spec.numa.mode = NumaMode::kInterleave;
  }
  return spec;
}

}  // namespace

Result<ImageSpec> ChooseImages(const TensorIndex& index, const Machine& machine,
                               const NumaPolicy& numa) {
  ImageSpec spec{.numa = numa};
  if (numa.mode == NumaMode::kAuto) {
    NumaChoice choice = ChooseNuma(machine, index.total_bytes(), index.group_count() - 2);
    spec.numa = choice.policy;
    spec.numa_rule = std::move(choice.rule);
  }
  ASSIGN_OR_RETURN(spec.nodes, NodesFor(spec.numa, machine));
  spec.shares = RowShares(machine, spec.nodes);
  return spec;
}

Result<PlacementPlan> PlanPlacement(const TensorIndex& index, const Machine& machine,
                                    const LoadOptions& asked, const PlanInputs& inputs) {
  PlacementPlan plan;
  const LoadOptions options = OptionsFor(asked, &plan.fallbacks);
  ASSIGN_OR_RETURN(ImageSpec images, ImagesOf(index, machine, options));
  plan.numa = images.numa;
  plan.nodes = images.nodes;
  if (options.loader == LoaderKind::kResident) {
    return MakeFixableError(ErrorCode::kUsage, "llm-run resident list",
                            "--loader=resident places nothing: the weights lie where they are");
  }
  if (options.loader == LoaderKind::kMmap) {
    RETURN_IF_ERROR(PlanMapped(index, options, &plan));
    return plan;
  }
  std::vector<ArenaPlan> arenas = PlanArenas(index, machine, options, images, &plan);
  std::optional<std::string> shortage = Shortage(arenas, machine, options, plan.nodes);
  if (shortage && plan.mirrored && options.loader == LoaderKind::kAuto &&
      !RequiresHugePages(options)) {
    images.numa.mode = NumaMode::kShard;
    plan.fallbacks.push_back({.wanted = "a copy of the weights on each node",
                              .got = "one, whose rows are dealt out (--numa=shard)",
                              .why = std::move(*shortage),
                              .fix = "free some memory"});
    arenas = PlanArenas(index, machine, options, images, &plan);
    shortage = Shortage(arenas, machine, options, plan.nodes);
  }
  ASSIGN_OR_RETURN(plan.loader, ChooseLoader(index, options, inputs, shortage, &plan));
  if (plan.loader == LoaderKind::kMmap) {
    if (asked.numa.mode == NumaMode::kAuto) plan.nodes.clear();  // nobody asked for any
    RETURN_IF_ERROR(PlanMapped(index, options, &plan));
    return plan;
  }
  if (!arenas.empty()) ExplainTooSmall(options, arenas.front(), &plan.fallbacks);
  plan.arenas = std::move(arenas);
  return plan;
}

PlacementPlan PlanImages(const TensorIndex& index, LoaderKind loader, const PlanInputs& inputs,
                         const ImageSpec& spec) {
  PlacementPlan plan;
  plan.loader = loader == LoaderKind::kAuto ? FasterReader(index, inputs) : loader;
  plan.arenas = LayOutImages(index, spec, &plan);
  return plan;
}

std::span<const TensorPart> PartsOf(const PlacementPlan& plan, TensorId tensor) {
  const TensorParts& parts = plan.tensors[static_cast<uint32_t>(tensor)];
  return std::span(plan.parts).subspan(parts.first, parts.count);
}

uint64_t ArenaOffset(const PlacementPlan& plan, const TensorPart& part) {
  const Segment& segment = plan.segments[part.segment];
  return segment.arena_offset + (part.extent.offset - segment.extent.offset);
}

}  // namespace llmrun
