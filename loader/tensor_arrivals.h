// Which tensors are complete: each is when the last read that touches it has landed. Pure counting.
//
// Threads: Landed() is Thread-safe; everything written before the landing of a tensor's reads is
// visible to who is told that it is complete. Borrows nothing after construction.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "loader/index/tensor_index.h"
#include "loader/plan/read_plan.h"

namespace llmrun {

class TensorArrivals {
 public:
  TensorArrivals(const TensorIndex& index, const ReadPlan& reads);

  // The tensors that this read completes. Each read may land once.
  std::vector<TensorId> Landed(size_t read);
  // Tensors without a byte: no read brings them.
  const std::vector<TensorId>& empty() const { return empty_; }

 private:
  std::vector<std::vector<TensorId>> tensors_of_read_;
  std::unique_ptr<std::atomic<uint32_t>[]> reads_left_;  // [tensors]
  std::vector<TensorId> empty_;
};

}  // namespace llmrun
