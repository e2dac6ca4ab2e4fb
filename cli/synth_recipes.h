// How a block of each quantized type is filled, so that its values have mean 0 and a wanted
// deviation: quants are uniform random codes, and the scales follow from what those are.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cli/synth_random.h"
#include "memory/dtype.h"

namespace llmrun {

// The scale of a type's blocks, in the forms that types keep it in.
struct SynthScales {
  float scale = 0;
  uint16_t half = 0;
  uint16_t half_min = 0;
  // Of blocks whose scale is 2^(exponent - 128): `upper` of 65536 blocks have the next exponent.
  uint8_t exponent = 0;
  uint32_t upper = 0;
};

// Some bytes of a block, and what draws them.
struct SynthField {
  void (*fill)(SynthRandom& random, const SynthScales& scales, std::span<std::byte> out) = nullptr;
  size_t at = 0;
  size_t bytes = 0;
};

// Fields are drawn in the order in which they stand here: it is part of what a seed stands for.
struct SynthRecipe {
  DType type;
  float deviation;  // of the values, with a scale of 1
  float min;        // over the scale
  SynthField fields[4];
};

// nullptr for the types that are not quantized.
const SynthRecipe* FindSynthRecipe(DType type);
SynthScales ScalesFor(const SynthRecipe& recipe, float deviation);

// Fills one block; a row of IQ2_BN, whose scale is that of the row.
inline void FillBlock(const SynthRecipe& recipe, const SynthScales& scales, SynthRandom& random,
                      std::span<std::byte> out) {
  for (const SynthField& field : recipe.fields) {
    if (field.fill == nullptr) return;
    field.fill(random, scales, out.subspan(field.at, field.bytes));
  }
}

}  // namespace llmrun
