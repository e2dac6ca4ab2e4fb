// Rows of float32 to the blocks of a type: the other direction of compute/codec.h, whose layouts
// these are. For tools that make models; kernels quantize activations themselves.
//
// What is made smallest is the sum of w (x - x')^2 over a block. Without an importance w is 1 plus
// the square of x over the mean square of its block: large weights carry more of the output, small
// ones are not given up. With an importance (the mean square of the activations that meet a
// column, from an importance matrix) it is that times the square root of the same sum.
// Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1 without importance are the plain roundings of ggml, bit for bit.
//
// Threads: pure functions. The same values give the same bytes, on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "memory/dtype.h"

namespace llmrun {

// Whether QuantizeRow() knows the type: all that HasCodec() (compute/codec.h) knows.
bool HasEncoder(DType type);

// One row of n values to RowBytes(type, n) bytes at `out`. `importance`: one weight >= 0 a value,
// or null. `tensor_scale`: of I2_S, the scale of the whole tensor (TernaryMean); else not looked
// at. Failure: kUnavailable for a type without encoder; kBadData when n is not a multiple of its
// block, for NaN and infinities, and for values too large for the type (none names file or tensor:
// the caller adds them).
Status QuantizeRow(DType type, const float* values, int64_t n, const float* importance,
                   std::byte* out, float tensor_scale = 1);

// Finds the scale of ternary values over many rows: the mean magnitude of those that become 1 or
// -1. Add all rows, ask for the Mean, and again with half of it as threshold until it stays.
class TernaryMean {
 public:
  explicit TernaryMean(float threshold = 0) : threshold_(threshold) {}
  void Add(const float* values, int64_t n);
  void Add(const TernaryMean& other);  // of the same threshold
  float Mean() const;                  // 0 when no magnitude exceeds the threshold

 private:
  float threshold_;
  double sum_ = 0;
  uint64_t count_ = 0;
};

}  // namespace llmrun
