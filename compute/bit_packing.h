// Bits within packed rows (compute/packing.h): fields of 3 and 6 bits, which lie in two bytes of
// the file each, share bytes as kernels/generic/shared_bytes.h says.
#pragma once

#include <cstddef>

namespace llmrun {

// What happens to a packed block of 16 rows, in place, once its bytes are where they belong, and
// before these go back. Null: nothing.
struct BitMoves {
  void (*pack)(std::byte* block) = nullptr;
  void (*unpack)(std::byte* block) = nullptr;
};
// Of Q3_K.
void PackThreeBits(std::byte* block);
void UnpackThreeBits(std::byte* block);
// Of Q6_K.
void PackSixBits(std::byte* block);
void UnpackSixBits(std::byte* block);

}  // namespace llmrun
