// Random weights in every type that `synth` writes, made at the speed of memory.
//
// Quants are uniform random bits, and the scales of their blocks are chosen so that values have the
// wanted deviation; F32, F16 and BF16 are drawn from a normal distribution by way of a table. The
// same seed gives the same bytes everywhere: only integer arithmetic and single float operations.
// Threads: immutable after construction; Fill() is Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "memory/dtype.h"

namespace llmrun {

class BlockFiller {
 public:
  // Requires: HasCodec(dtype); mean 0 unless dtype is F32, F16 or BF16.
  BlockFiller(DType dtype, float mean, float deviation);

  // Fills whole blocks. Requires: out.size() is a multiple of the block's bytes.
  void Fill(uint64_t seed, std::span<std::byte> out) const;

 private:
  DType dtype_;
  uint16_t scale_ = 0;              // half precision, of the quantized types
  uint16_t scale_min_ = 0;          // Q4_K
  std::vector<std::byte> normals_;  // table of encoded values, of the plain types
};

// A seed of its own for each part of a model: the same parts of different models differ, too.
uint64_t MixSeed(uint64_t seed, uint64_t part);

}  // namespace llmrun
