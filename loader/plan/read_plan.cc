#include "loader/plan/read_plan.h"

#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/units.h"

namespace llmrun {
namespace {

constexpr uint64_t kMostReadBytes = 2 * kMiB;

struct PieceOfWork {
  PlannedRead read;
  std::vector<GroupId> groups;
};

// Groups with a byte in [begin, end). `parts` are those of one segment in file order; the ones
// that end before `begin` are dropped from its front, as `begin` only grows.
std::vector<GroupId> GroupsIn(const TensorIndex& index, uint64_t begin, uint64_t end,
                              std::span<const TensorPart>* parts) {
  while (!parts->empty()) {
    const FileExtent& first = parts->front().extent;
    if (first.offset + first.bytes > begin) break;
    *parts = parts->subspan(1);
  }
  std::vector<GroupId> groups;
  for (const TensorPart& part : *parts) {
    if (part.extent.offset >= end) break;
    groups.push_back(index.at(part.tensor).group);
  }
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return groups;
}

// Cuts one segment into requests, at multiples of the alignment.
void CutSegment(const TensorIndex& index, const Segment& segment, const BackendLimits& limits,
                std::span<const TensorPart> parts, std::vector<PieceOfWork>* pieces) {
  const FileExtent& extent = segment.extent;
  const uint64_t alignment = limits.offset_alignment;
  const uint64_t chunk_bytes = std::max(AlignDown(limits.max_request_bytes, alignment), alignment);
  const uint64_t file_bytes = index.files()[extent.file].file_bytes;
  const uint64_t end = AlignUp(extent.offset + extent.bytes, alignment);
  for (uint64_t begin = AlignDown(extent.offset, alignment); begin < end; begin += chunk_bytes) {
    const uint64_t bytes = std::min(chunk_bytes, end - begin);
    std::vector<GroupId> groups = GroupsIn(index, begin, begin + bytes, &parts);
    if (groups.empty()) continue;  // nothing but padding
    pieces->push_back({.read = {.file = extent.file,
                                .file_offset = begin,
                                .bytes = bytes,
                                .must_bytes = std::min(bytes, file_bytes - begin),
                                .arena = segment.arena,
                                .arena_offset = segment.arena_offset + begin - extent.offset,
                                .first_group = groups.front(),
                                .last_group = groups.back()},
                       .groups = std::move(groups)});
  }
}

}  // namespace

BackendLimits LoadLimits(uint64_t chunk_bytes) {
  return {.offset_alignment = kImageAlignment,
          .max_request_bytes = std::min(chunk_bytes, kMostReadBytes)};
}

ReadPlan PlanReads(const TensorIndex& index, const PlacementPlan& plan,
                   const BackendLimits& limits) {
  CHECK(IsPowerOfTwo(limits.offset_alignment) && limits.offset_alignment <= kImageAlignment);
  std::vector<PieceOfWork> pieces;
  std::span<const TensorPart> rest(plan.parts);
  for (uint32_t s = 0; s < plan.segments.size(); ++s) {
    size_t count = 0;
    while (count < rest.size() && rest[count].segment == s) ++count;
    CutSegment(index, plan.segments[s], limits, rest.first(count), &pieces);
    rest = rest.subspan(count);
  }

  const auto place = [&](const PieceOfWork& piece) {
    const GroupId rank = limits.in_file_order ? 0 : piece.read.first_group;
    return std::tuple(rank, piece.read.file, piece.read.file_offset);
  };
  std::sort(pieces.begin(), pieces.end(),
            [&](const PieceOfWork& a, const PieceOfWork& b) { return place(a) < place(b); });

  ReadPlan reads;
  reads.group_reads.resize(index.group_count());
  for (PieceOfWork& piece : pieces) {
    for (const GroupId group : piece.groups) ++reads.group_reads[group];
    reads.total_bytes += piece.read.must_bytes;
    reads.reads.push_back(piece.read);
    reads.groups_of_read.push_back(std::move(piece.groups));
  }
  return reads;
}

}  // namespace llmrun
