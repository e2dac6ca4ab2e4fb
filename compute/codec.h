// The exact values that a row of weights stands for, in portable C++: for embeddings, for looking
// for NaN and Inf in a file, and as the truth that the kernels are tested against. Layouts are
// those of the GGUF specification and of the block structures of ggml. Every product, sum and
// difference is rounded to float32.
//
// Threads: pure functions. Reads exactly RowBytes(type, n) bytes, at any alignment.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "memory/dtype.h"

namespace llmrun {

// Whether DequantizeRow knows the type: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K,
// IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, MXFP4, I2_S, IQ2_BN.
bool HasCodec(DType type);

// The n values of one row as float32. Half-precision infinities and NaNs come through as such.
// Failure: kUnavailable for a type without codec, kBadData when n is not a multiple of its block
// (neither names file or tensor: the caller adds them).
// `tensor_scale`: what TensorScale says; it multiplies all values.
Status DequantizeRow(DType type, const std::byte* row, int64_t n, float* out,
                     float tensor_scale = 1);

// The scale that stands behind the last row of a tensor of type I2_S; 1 for all other types, of
// which nothing is read.
float TensorScale(DType type, const std::byte* end_of_rows);

}  // namespace llmrun
