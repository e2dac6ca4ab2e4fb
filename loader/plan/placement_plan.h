// Which bytes of which file go where. Pure: values in, values out, no system calls. A plan can be
// printed (`llm-run plan`), compared and tested for machines we do not own.
//
// Arena plans work in image mode: a segment is a run of file bytes, and its place in the arena is
// congruent to its place in the file modulo kImageAlignment, so that O_DIRECT reads of whole
// aligned file blocks land exactly where the tensors are to be: no bounce buffer, no copy. What
// lies between two tensors of a segment (padding) is read along.
//
// Matrices that are sharded over NUMA nodes are cut between rows; the parts of each node are images
// of their own, in the node's arena.
//
// Mapped plans place nothing: tensors are views into a mapping of the whole file, which takes the
// place of an arena, with every byte at its offset in the file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "loader/index/tensor_index.h"
#include "loader/load_options.h"
#include "memory/machine.h"
#include "memory/node_set.h"
#include "memory/page_kind.h"

namespace llmrun {

inline constexpr uint64_t kImageAlignment = 4096;
// Of the rules by which PlanImages() lays segments. Images outlive the process (loader/resident):
// raise it with every change of kImageAlignment, kMaxSegmentGapBytes, or of order and places.
inline constexpr uint32_t kImageLayoutVersion = 1;

struct ArenaPlan {
  uint64_t bytes = 0;       // sum of tiles
  uint64_t used_bytes = 0;  // of these, for the image
  std::vector<PageTile> tiles;
  NodeSet nodes;
};

// Tensors of one file with gaps of less than this between them make one segment.
inline constexpr uint64_t kMaxSegmentGapBytes = 64ULL << 10;

struct Segment {
  FileExtent extent;          // from the first tensor's first byte to the last one's last
  uint32_t arena = 0;         // in a mapped plan: the file
  uint64_t arena_offset = 0;  // where extent.offset lands; congruent to it mod kImageAlignment
};

// Rows of a tensor that lie together.
struct TensorPart {
  TensorId tensor{};
  uint64_t row_begin = 0;
  uint64_t row_end = 0;
  FileExtent extent;  // their bytes
  uint32_t segment = 0;
};

// A tensor's parts: parts[first, first + count), ascending rows. One for most; see kShard.
struct TensorParts {
  uint32_t first = 0;
  uint32_t count = 0;
};

struct PlacementPlan {
  LoaderKind loader = LoaderKind::kRead;  // never kAuto
  bool mapped = false;
  NumaPolicy numa;        // never kAuto
  std::string numa_rule;  // by which kAuto was decided; empty when there was nothing to decide
  // All arenas hold the same, each on its node: reads go to the first, whose bytes are copied to
  // the others.
  bool mirrored = false;
  NodeSet nodes;                     // that were asked for; none: wherever the kernel likes
  std::vector<ArenaPlan> arenas;     // empty when mapped; several: one a node of `nodes`
  std::vector<Segment> segments;     // ascending (file, offset)
  std::vector<TensorPart> parts;     // ascending (file, offset), those of a segment together
  std::vector<TensorParts> tensors;  // index = TensorId
  std::vector<Fallback> fallbacks;   // steps down that were decided while planning
};

// What the plan may know about the outside; the caller gathers it.
struct PlanInputs {
  uint64_t cached_bytes = 0;  // of the model's files, in the page cache
};

// kAuto becomes kMmap where memory does not hold the arena, kRead where the page cache holds all of
// the files already, else kIoUring.
// Failure: kResource with numbers and a fix when the weights cannot fit into memory; kUsage for a
// node that is not there; kUnavailable when huge pages are required of a mapping.
Result<PlacementPlan> PlanPlacement(const TensorIndex& index, const Machine& machine,
                                    const LoadOptions& options, const PlanInputs& inputs);

// What decides into how many images the weights go and what lies where in them, whatever the
// machine and its memory.
struct ImageSpec {
  NumaPolicy numa = {};  // never kAuto
  NodeSet nodes = {};
  std::vector<uint32_t> shares = {};  // [nodes] of rows, for kShard
  std::string numa_rule = {};         // as PlacementPlan's
};
// What the policy of a load comes to. kAuto goes by the bytes of the weights and the machine's
// bandwidths. Failure: kUsage for a node that is not there.
Result<ImageSpec> ChooseImages(const TensorIndex& index, const Machine& machine,
                               const NumaPolicy& numa);

// The images alone, for memory that somebody else provides: arenas without tiles (none for a model
// without weights). kAuto is chosen as above; any other loader is taken as it is.
PlacementPlan PlanImages(const TensorIndex& index, LoaderKind loader, const PlanInputs& inputs,
                         const ImageSpec& spec);

std::span<const TensorPart> PartsOf(const PlacementPlan& plan, TensorId tensor);

// Where a part's first byte is in its arena (in its file, when mapped).
uint64_t ArenaOffset(const PlacementPlan& plan, const TensorPart& part);

}  // namespace llmrun
