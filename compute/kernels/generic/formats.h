// How each quantized type lies in memory (ggml's block layouts). `in` is where a block's bytes come
// from (generic/pieces.h); a format gives the weights of 16 columns at a time, in any order, as
// bytes: emit(columns / 16, weights + kOffset), which are 0..kMost.
//
// Types of blocks (kSuper false) have a Scale, and some a Min, which is added to a weight times its
// scale. Types of superblocks have them for 256 columns; besides, some (kHasSubs) have integers to
// multiply them with for every kSubCols: Subs, four of a superblock in each Ints. kTwoBits: pieces
// of weights are nothing but two bits in all bytes (generic/table_lookup.h).
#pragma once

#include "compute/kernels/generic/format_blocks.h"
#include "compute/kernels/generic/format_super.h"
#include "compute/kernels/generic/format_super16.h"
#include "compute/kernels/generic/format_ternary.h"
#include "memory/dtype.h"

namespace llmrun::generic {

// kHeadBytes stand before each row; kScalesRows: a scale multiplies the results of each row.
template <class Format, int kHeadBytes = 0, bool kScalesRows = false>
struct OfType {};

// function(OfType<...>()), or false for a type that is not quantized.
template <class Isa, class Function>
bool WithFormat(DType type, Function function) {
  switch (type) {
    case DType::kQ8_0:
      return function(OfType<Q8_0<Isa>>());
    case DType::kQ4_0:
      return function(OfType<Q4_0<Isa>>());
    case DType::kQ4_1:
      return function(OfType<Q4_1<Isa>>());
    case DType::kQ5_0:
      return function(OfType<Q5_0<Isa>>());
    case DType::kQ5_1:
      return function(OfType<Q5_1<Isa>>());
    case DType::kIQ4_NL:
      return function(OfType<IQ4_NL<Isa>>());
    case DType::kMXFP4:
      return function(OfType<MXFP4<Isa>>());
    case DType::kQ2_K:
      return function(OfType<Q2_K<Isa>>());
    case DType::kQ3_K:
      return function(OfType<Q3_K<Isa>>());
    case DType::kQ4_K:
      return function(OfType<Q4_K<Isa>>());
    case DType::kQ5_K:
      return function(OfType<Q5_K<Isa>>());
    case DType::kQ6_K:
      return function(OfType<Q6_K<Isa>>());
    case DType::kIQ4_XS:
      return function(OfType<IQ4_XS<Isa>>());
    case DType::kTQ1_0:
      return function(OfType<TQ1_0<Isa>>());
    case DType::kTQ2_0:
      return function(OfType<TQ2_0<Isa>>());
    case DType::kIQ2_BN:
      return function(OfType<IQ2_BN<Isa>, 4, true>());
    case DType::kI2_S:
      return function(OfType<I2_S<Isa>, 0, true>());
    default:
      return false;
  }
}

}  // namespace llmrun::generic
