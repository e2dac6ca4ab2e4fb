// In which order the bytes of a block stand in packed rows (compute/packing.h): that in which
// products read them, for memory is fastest so.
#pragma once

#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// At(offset): where what stands at `offset` of a block goes.
struct OrderOfFile {
  LLMRUN_INLINE static constexpr int At(int offset) { return offset; }
};

// Low and high bits of the same columns come together, 16 bytes of each.
struct OrderOfQ6K {
  LLMRUN_INLINE static constexpr int At(int offset) {
    if (offset >= 192) return offset;
    const int piece = offset / 16;
    const int of_part = piece < 8 ? piece % 4 : piece % 2;  // two of low0, two of low1; two of high
    const int part = piece < 8 ? piece / 4 : (piece - 8) / 2;
    const int kind = piece < 8 ? of_part / 2 : 2;
    return ((part * 2 + of_part % 2) * 3 + kind) * 16 + offset % 16;
  }
};
struct OrderOfQ3K {
  LLMRUN_INLINE static constexpr int At(int offset) {
    if (offset >= 96) return offset;
    const int piece = offset / 16;
    return (piece % 2 * 3 + piece / 2) * 16 + offset % 16;
  }
};
struct OrderOfQ5K {
  LLMRUN_INLINE static constexpr int At(int offset) {
    if (offset < 16) return offset;
    const int piece = offset / 16 - 1;
    return (1 + piece % 2 * 5 + piece / 2) * 16 + offset % 16;
  }
};

}  // namespace llmrun::generic
