// Bits within packed rows (compute/packing.h): fields of 3 and 6 bits, which lie in two bytes of
// the file each, share bytes as kernels/generic/shared_bytes.h says.
#pragma once

#include <cstddef>

#include "memory/dtype.h"

namespace llmrun {

// What happens to a packed block of 16 rows, in place, once its bytes are where they belong, and
// before these go back. Null: nothing.
struct BitMoves {
  void (*pack)(std::byte* block) = nullptr;
  void (*unpack)(std::byte* block) = nullptr;
};
BitMoves BitMovesOf(DType type);

}  // namespace llmrun
