// What formats do with the bytes of pieces (generic/pieces.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa>
struct ByteOps {
  using B = typename Isa::B;

  template <class Bytes>
  LLMRUN_INLINE static Bytes And(const Bytes& x, int mask) {
    return x.Map([mask](B v) { return Isa::AndBytes(v, Isa::SetBytes(mask)); });
  }
  template <class Bytes>
  LLMRUN_INLINE static Bytes Or(const Bytes& x, const Bytes& y) {
    return x.With(y, [](B a, B b) { return Isa::OrBytes(a, b); });
  }
  // To the right by n, or to the left by -n; what comes in from neighbour bytes is to be masked.
  template <int n, class Bytes>
  LLMRUN_INLINE static Bytes Shift(const Bytes& x) {
    if constexpr (n == 0) return x;
    if constexpr (n > 0) return x.Map([](B v) { return Isa::template ShiftRight<n>(v); });
    if constexpr (n < 0) return x.Map([](B v) { return Isa::template ShiftLeft<-n>(v); });
  }
  template <class Bytes>
  LLMRUN_INLINE static Bytes LowNibbles(const Bytes& x) {
    return And(x, 0x0F);
  }
  template <class Bytes>
  LLMRUN_INLINE static Bytes HighNibbles(const Bytes& x) {
    return And(Shift<4>(x), 0x0F);
  }
  // Of each byte, what stands there in a table of 16 bytes, the first in the lowest bits.
  template <class Bytes>
  LLMRUN_INLINE static Bytes LookUp(uint64_t low, uint64_t high, const Bytes& x) {
    return x.Map([low, high](B v) { return Isa::LookUp(low, high, v); });
  }
  // Signed weights, plus 128.
  template <class Bytes>
  LLMRUN_INLINE static Bytes Signed(const Bytes& x) {
    return x.Map([](B v) { return Isa::template AddOffset<128>(v); });
  }
};

}  // namespace llmrun::generic
