// Fields of 3 and 6 bits as packed rows have them (compute/packing.h). In the file, low and high
// bits of a field lie in two bytes, and each field is put together of both. Here as many fields as
// fit lie whole in a byte, and only the others are put together, of the bits that are left: a third
// to half of the instructions.
//
// Bit 0 first, of the bytes b0, b1, ...:
//   3 bits, 8 fields: b0 = v0 v1 v6[0..1], b1 = v2 v3 v7[0..1], b2 = v4 v5 v6[2] v7[2]
//   6 bits, 4 fields: b0 = v0 v3[0..1], b1 = v1 v3[2..3], b2 = v2 v3[4..5]
#pragma once

#include "compute/kernels/generic/byte_ops.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// Call emit(i, field i) in ascending order.
template <class Isa>
struct SharedBytes {
  using Ops = ByteOps<Isa>;

  template <class Bytes, class Emit>
  LLMRUN_INLINE static void ThreeBits(const Bytes (&b)[3], Emit emit) {
    LLMRUN_UNROLL for (int i = 0; i < 3; ++i) {
      emit(2 * i, Bits<0, 7>(b[i]));
      emit(2 * i + 1, Bits<3, 7>(b[i]));
    }
    emit(6, Ops::Or(Bits<6, 3>(b[0]), Bits<4, 4>(b[2])));
    emit(7, Ops::Or(Bits<6, 3>(b[1]), Bits<5, 4>(b[2])));
  }
  template <class Bytes, class Emit>
  LLMRUN_INLINE static void SixBits(const Bytes (&b)[3], Emit emit) {
    LLMRUN_UNROLL for (int i = 0; i < 3; ++i) emit(i, Bits<0, 63>(b[i]));
    emit(3, Ops::Or(Ops::Or(Bits<6, 3>(b[0]), Bits<4, 12>(b[1])), Bits<2, 48>(b[2])));
  }

 private:
  template <int shift, int mask, class Bytes>
  LLMRUN_INLINE static Bytes Bits(const Bytes& x) {
    return Ops::And(Ops::template Shift<shift>(x), mask);
  }
};

}  // namespace llmrun::generic
