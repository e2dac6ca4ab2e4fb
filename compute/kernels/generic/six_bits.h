// The eight 6-bit scales and eight 6-bit minimums that 12 bytes of a Q4_K block hold, unpacked four
// at a time in the bytes of a word.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmrun::generic {

struct SixBitPairs {
  uint64_t scales;  // byte j: scale of sub-block j
  uint64_t mins;
};

template <class Isa>
SixBitPairs UnpackSixBits(const std::byte* packed) {
  constexpr uint32_t kLow6 = 0x3F3F3F3F;
  constexpr uint32_t kLow4 = 0x0F0F0F0F;
  constexpr uint32_t kLow2 = 0x03030303;
  uint32_t word[3];
  __builtin_memcpy(word, packed, sizeof word);
  const uint32_t scales_high = (word[2] & kLow4) | (word[0] >> 6 & kLow2) << 4;
  const uint32_t mins_high = (word[2] >> 4 & kLow4) | (word[1] >> 6 & kLow2) << 4;
  return {(word[0] & kLow6) | static_cast<uint64_t>(scales_high) << 32,
          (word[1] & kLow6) | static_cast<uint64_t>(mins_high) << 32};
}

}  // namespace llmrun::generic
