// Types of blocks of 32 columns; see generic/formats.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/byte_ops.h"
#include "compute/kernels/generic/packed_order.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa>
struct OfBlocks {
  using Ops = ByteOps<Isa>;
  using F = typename Isa::F;
  using Order = OrderOfFile;
  static constexpr bool kSuper = false;
  static constexpr bool kUsesWords = Isa::kUsesWords;
  static constexpr bool kHasMin = false;
  static constexpr bool kHasSubs = false;
  static constexpr int kSubCols = 32;

  template <class In>
  LLMRUN_INLINE static F Scale(const In& in) {
    return in.Halves(0);
  }
};

template <class Isa>
struct WithMin : OfBlocks<Isa> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;

  template <class In>
  LLMRUN_INLINE static typename Isa::F Min(const In& in) {
    return in.Halves(2);
  }
};

template <class Isa>
struct Q8_0 : OfBlocks<Isa> {
  using Ops = ByteOps<Isa>;
  static constexpr int kBytes = 34;
  static constexpr int kOffset = 128;
  static constexpr int kMost = 255;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    emit(0, Ops::Signed(in.Piece(2)));
    emit(1, Ops::Signed(in.Piece(18)));
  }
};

// Four bits: low nibbles of 16 bytes, then high nibbles.
template <class Isa>
struct Q4_0 : OfBlocks<Isa> {
  using Ops = ByteOps<Isa>;
  static constexpr int kBytes = 18;
  static constexpr int kOffset = 8;
  static constexpr int kMost = 15;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    Ops::EachNibble(in.Piece(2), emit);
  }
};

template <class Isa>
struct Q4_1 : WithMin<Isa> {
  using Ops = ByteOps<Isa>;
  static constexpr int kBytes = 20;
  static constexpr int kMost = 15;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    Ops::EachNibble(in.Piece(4), emit);
  }
};

// The fifth bits of all 32 columns stand in four bytes before the nibbles, from byte `at` on.
template <class Isa, class In, class Emit>
LLMRUN_INLINE void FiveBits(const In& in, int at, Emit emit) {
  using Ops = ByteOps<Isa>;
  const auto bytes = in.Piece(at + 4);
  const auto bits = in.Bits(at);
  emit(0, Ops::Or(Ops::LowNibbles(bytes), In::template Fifth<0>(bits)));
  emit(1, Ops::Or(Ops::HighNibbles(bytes), In::template Fifth<1>(bits)));
}

template <class Isa>
struct Q5_0 : OfBlocks<Isa> {
  static constexpr int kBytes = 22;
  static constexpr int kOffset = 16;
  static constexpr int kMost = 31;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    FiveBits<Isa>(in, 2, emit);
  }
};

template <class Isa>
struct Q5_1 : WithMin<Isa> {
  static constexpr int kBytes = 24;
  static constexpr int kMost = 31;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    FiveBits<Isa>(in, 4, emit);
  }
};

// Nibbles that stand for values of a table: -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25,
// 38, 53, 69, 89, 113.
template <class Isa>
struct NonLinearNibbles {
  using Ops = ByteOps<Isa>;
  static constexpr int kOffset = 128;
  template <class Bytes>
  LLMRUN_INLINE static Bytes Values(const Bytes& nibbles) {
    return Ops::Signed(Ops::LookUp(0xF6EADDCFBFAD9881, 0x7159453526190D01, nibbles));
  }
};

template <class Isa>
struct IQ4_NL : OfBlocks<Isa> {
  using Ops = ByteOps<Isa>;
  using Table = NonLinearNibbles<Isa>;
  static constexpr int kBytes = 18;
  static constexpr int kOffset = Table::kOffset;
  static constexpr int kMost = 255;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    Ops::EachNibble(in.Piece(2), [&](int half, const typename In::Pieces& nibbles) {
      emit(half, Table::Values(nibbles));
    });
  }
};

// E2M1 (OCP Microscaling Formats 1.0): twice the values are 0, 1, 2, 3, 4, 6, 8, 12 and their
// negatives. The scale is a power of two, 2^(e - 128) for twice the values; below the normal floats
// (e < 2), where a processor set to flush denormals would lose it, it counts as 0.
template <class Isa>
struct MXFP4 : OfBlocks<Isa> {
  using Ops = ByteOps<Isa>;
  static constexpr int kBytes = 17;
  static constexpr int kOffset = 12;
  static constexpr int kMost = 24;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    Ops::EachNibble(in.Piece(1), [&](int half, const typename In::Pieces& nibbles) {
      emit(half, Values(nibbles));
    });
  }
  template <class In>
  LLMRUN_INLINE static typename Isa::F Scale(const In& in) {
    const auto exponent = Isa::MaxInts(Isa::AddInts(in.Bytes(0), Isa::SetInt(-1)), Isa::ZeroInts());
    return Isa::AsFloats(Isa::AsBytes(Isa::template ShiftIntsLeft<23>(exponent)));
  }

 private:
  template <class Bytes>
  LLMRUN_INLINE static Bytes Values(const Bytes& nibbles) {
    return Ops::LookUp(0x181412100F0E0D0C, 0x00040608090A0B0C, nibbles);
  }
};

}  // namespace llmrun::generic
