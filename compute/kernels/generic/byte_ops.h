// What formats do with the bytes of pieces (generic/pieces.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// Bytes of pairs of columns (generic/table_lookup.h): in the low nibbles of `even` the first two
// bits of both, in its high nibbles the third; in `odd` the second and the fourth.
template <class Bytes>
struct ColumnPairs {
  Bytes even;
  Bytes odd;
};

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
  // Calls emit(0, low nibbles) and emit(1, high nibbles).
  template <class Bytes, class Emit>
  LLMRUN_INLINE static void EachNibble(const Bytes& x, Emit emit) {
    emit(0, LowNibbles(x));
    emit(1, HighNibbles(x));
  }
  // x, for many uses: in registers, not to be read from memory again for each. (With two uses, more
  // instructions cost more than second reads: memory is waited for longer.)
  template <class Bytes>
  LLMRUN_INLINE static Bytes Held(const Bytes& x) {
    return x.Map([](B v) { return Isa::Held(v); });
  }
  // Two bits of each byte, from bit 2 * i on.
  template <int i, class Bytes>
  LLMRUN_INLINE static Bytes TwoBits(const Bytes& x) {
    return And(Shift<2 * i>(x), 3);
  }
  // Calls emit(i, two bits) for all four, the lowest first.
  template <class Bytes, class Emit>
  LLMRUN_INLINE static void EachTwoBits(const Bytes& x, Emit emit) {
    const Bytes held = Held(x);
    emit(0, TwoBits<0>(held));
    emit(1, TwoBits<1>(held));
    emit(2, TwoBits<2>(held));
    emit(3, TwoBits<3>(held));
  }
  template <class Bytes, class Emit>
  LLMRUN_INLINE static void EachTwoBits(const ColumnPairs<Bytes>& x, Emit emit) {
    emit(0, LowNibbles(x.even));
    emit(1, LowNibbles(x.odd));
    emit(2, HighNibbles(x.even));
    emit(3, HighNibbles(x.odd));
  }
  // Of 128 columns 32 bytes, from byte `from` on: four quarters, the first in the lowest bits.
  template <class In, class Emit>
  LLMRUN_INLINE static void Quarters(const In& in, int from, Emit emit) {
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) {
      EachTwoBits(in.Piece(from + i * 16), [&](int quarter, const typename In::Pieces& bits) {
        emit(i / 2 * 8 + 2 * quarter + i % 2, bits);
      });
    }
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
