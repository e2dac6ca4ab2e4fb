#include "loader/tensor_arrivals.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "loader/plan/file_order.h"

namespace llmrun {

TensorArrivals::TensorArrivals(const TensorIndex& index, const ReadPlan& reads)
    : tensors_of_read_(reads.reads.size()),
      reads_left_(std::make_unique<std::atomic<uint32_t>[]>(index.tensors().size())) {
  const std::vector<TensorId> order = TensorsInFileOrder(index);
  std::vector<size_t> by_place(reads.reads.size());
  std::iota(by_place.begin(), by_place.end(), size_t{0});
  const auto place = [&](size_t i) {
    return std::pair(reads.reads[i].file, reads.reads[i].file_offset);
  };
  std::sort(by_place.begin(), by_place.end(),
            [&](size_t a, size_t b) { return place(a) < place(b); });
  size_t first = 0;  // tensors before it end before every read that is still to come
  for (const size_t i : by_place) {
    const PlannedRead& read = reads.reads[i];
    for (size_t t = first; t < order.size(); ++t) {
      const FileExtent& extent = index.at(order[t]).extent;
      const bool before = std::pair(extent.file, extent.offset + extent.bytes) <=
                          std::pair(read.file, read.file_offset);
      if (before && t == first) ++first;
      if (before || extent.bytes == 0) continue;
      if (std::pair(extent.file, extent.offset) >=
          std::pair(read.file, read.file_offset + read.bytes)) {
        break;
      }
      tensors_of_read_[i].push_back(order[t]);
      ++reads_left_[static_cast<uint32_t>(order[t])];
    }
  }
  for (const TensorId id : order) {
    if (reads_left_[static_cast<uint32_t>(id)] == 0) empty_.push_back(id);
  }
}

std::vector<TensorId> TensorArrivals::Landed(size_t read) {
  std::vector<TensorId> complete;
  for (const TensorId id : tensors_of_read_[read]) {
    const uint32_t before =
        reads_left_[static_cast<uint32_t>(id)].fetch_sub(1, std::memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1) complete.push_back(id);
  }
  return complete;
}

}  // namespace llmrun
