#include "loader/plan/layout.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "loader/plan/file_order.h"

namespace llmrun {
namespace {

uint64_t EndOf(const FileExtent& extent) { return extent.offset + extent.bytes; }

struct Rows {
  uint32_t image = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
};

std::vector<Rows> DealOut(const IndexedTensor& tensor, std::span<const uint32_t> shares) {
  const uint64_t rows = tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
  const uint64_t unit = tensor.n_dims <= 2 ? kShardRows : tensor.dims[1];
  const uint64_t units = unit == 0 ? 0 : (rows + unit - 1) / unit;
  // Biases, of experts say, are one array to those who add them.
  const bool whole = tensor.n_dims < 2 || tensor.name.ends_with(".bias");
  if (whole || tensor.extent.bytes == 0 || units < shares.size()) return {{0, 0, rows}};
  const uint64_t all = std::accumulate(shares.begin(), shares.end(), uint64_t{0});
  std::vector<Rows> dealt;
  uint64_t dealt_shares = 0;
  uint64_t begin = 0;
  for (uint32_t image = 0; image < shares.size(); ++image) {
    dealt_shares += shares[image];
    const uint64_t end = std::min(rows, units * dealt_shares / all * unit);
    if (end > begin) dealt.push_back({image, begin, end});
    begin = end;
  }
  return dealt;
}

TensorPart PartOf(const TensorIndex& index, TensorId id, const Rows& rows) {
  const IndexedTensor& tensor = index.at(id);
  const uint64_t all_rows = tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
  TensorPart part{
      .tensor = id, .row_begin = rows.begin, .row_end = rows.end, .extent = tensor.extent};
  if (rows.end - rows.begin < all_rows) {
    const uint64_t row_bytes = RowBytes(tensor.dtype, tensor.dims[0]);
    part.extent.offset += rows.begin * row_bytes;
    // What stands behind the last row (I2_S) comes with it.
    part.extent.bytes = rows.end == all_rows ? tensor.extent.bytes - rows.begin * row_bytes
                                             : (rows.end - rows.begin) * row_bytes;
  }
  return part;
}

void Append(const TensorPart& part, uint32_t image, PlacementPlan* plan) {
  std::vector<Segment>& segments = plan->segments;
  const bool adjacent = !segments.empty() && segments.back().arena == image &&
                        segments.back().extent.file == part.extent.file &&
                        part.extent.offset - EndOf(segments.back().extent) < kMaxSegmentGapBytes;
  if (adjacent) {
    FileExtent& grown = segments.back().extent;
    grown.bytes = EndOf(part.extent) - grown.offset;
  } else {
    segments.push_back({.extent = part.extent, .arena = image});
  }
  plan->parts.push_back(part);
  plan->parts.back().segment = static_cast<uint32_t>(segments.size() - 1);
}

// Lays segments one after the other, whole blocks of kImageAlignment each: no block belongs to two
// of them, so that an aligned read of one never touches another.
std::vector<uint64_t> PlaceSegments(size_t images, std::vector<Segment>* segments) {
  std::vector<uint64_t> next_block(images);
  for (Segment& segment : *segments) {
    const uint64_t first = AlignDown(segment.extent.offset, kImageAlignment);
    const uint64_t end = AlignUp(EndOf(segment.extent), kImageAlignment);
    segment.arena_offset = next_block[segment.arena] + (segment.extent.offset - first);
    next_block[segment.arena] += end - first;
  }
  return next_block;
}

}  // namespace

std::vector<uint64_t> LayOut(const TensorIndex& index, std::span<const uint32_t> shares,
                             PlacementPlan* plan) {
  plan->segments.clear();
  plan->parts.clear();
  plan->tensors.assign(index.tensors().size(), {});
  for (const TensorId id : TensorsInFileOrder(index)) {
    const std::vector<Rows> dealt = DealOut(index.at(id), shares);
    plan->tensors[static_cast<uint32_t>(id)] = {static_cast<uint32_t>(plan->parts.size()),
                                                static_cast<uint32_t>(dealt.size())};
    for (const Rows& rows : dealt) Append(PartOf(index, id, rows), rows.image, plan);
  }
  return PlaceSegments(shares.size(), &plan->segments);
}

}  // namespace llmrun
