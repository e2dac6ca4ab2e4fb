// What a product should be, in float64.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/codec.h"
#include "compute/half.h"
#include "compute/kernels.h"
#include "tests/compute/compute_testing.h"

namespace llmrun::testing {

inline std::vector<float> Decode(DType type, std::span<const std::byte> weights, int64_t rows,
                                 int64_t cols) {
  std::vector<float> values(static_cast<size_t>(rows * cols));
  const uint64_t row_bytes = RowBytes(type, static_cast<uint64_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    EXPECT_TRUE(DequantizeRow(type, weights.data() + static_cast<uint64_t>(r) * row_bytes, cols,
                              values.data() + r * cols));
  }
  return values;
}

// As what a product of float weights takes an activation.
inline float Meets(DType type, float x) {
  return type == DType::kBF16 ? Bfloat16ToFloat(FloatToBfloat16(x)) : x;
}

// Row r times token t in float64, from the values that weights and activations stand for.
inline double Truth(DType type, const std::vector<float>& weights, const Activations& a,
                    int64_t cols, int64_t r, int64_t t) {
  double sum = 0;
  for (int64_t c = 0; c < cols; ++c) {
    const auto at = static_cast<size_t>(t * cols + c);
    const double x = UsesQuantizedActivations(type)
                         ? static_cast<double>(a.q[at]) * a.scale[at / kQuantBlock]
                         : Meets(type, a.x[at]);
    sum += x * weights[static_cast<size_t>(r * cols + c)];
  }
  return sum;
}

}  // namespace llmrun::testing
