// Random weights in every type that `synth` writes, made at the speed of memory.
//
// Quantized blocks are filled by the recipes of their types; F32, F16 and BF16 are drawn from a
// normal distribution by way of a table. The same seed gives the same bytes everywhere: only
// integer arithmetic and single float operations. Threads: immutable after construction; Fill() is
// Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cli/synth_recipes.h"
#include "memory/dtype.h"

namespace llmrun {

class BlockFiller {
 public:
  // Requires: a type with a recipe, or F32, F16, BF16; only these may have a mean other than 0.
  BlockFiller(DType dtype, uint64_t row_elems, float mean, float deviation);

  // What is filled as one: a block, or a row when the type's rows have a head.
  uint64_t unit_bytes() const { return unit_bytes_; }
  // Requires: out.size() is a multiple of unit_bytes().
  void Fill(uint64_t seed, std::span<std::byte> out) const;

 private:
  DType dtype_;
  uint64_t unit_bytes_ = 0;
  const SynthRecipe* recipe_;  // of the quantized types
  SynthScales scales_;
  std::vector<std::byte> normals_;  // table of encoded values, of the plain types
};

// A seed of its own for each part of a model: the same parts of different models differ, too.
uint64_t MixSeed(uint64_t seed, uint64_t part);

}  // namespace llmrun
