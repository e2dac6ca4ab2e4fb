// Types of superblocks of 256 columns with a scale for every 32; see generic/formats.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/byte_ops.h"
#include "compute/kernels/generic/format_blocks.h"
#include "compute/kernels/generic/packed_order.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, int kScaleAt>
struct OfSuperblocks {
  using Order = OrderOfFile;
  static constexpr bool kSuper = true;
  static constexpr bool kUsesWords = Isa::kUsesWords;
  static constexpr bool kHasMin = false;
  static constexpr bool kHasSubs = true;
  static constexpr int kSubCols = 32;

  template <class In>
  LLMRUN_INLINE static typename Isa::F Scale(const In& in) {
    return in.Halves(kScaleAt);
  }

  // Integers of `low` and of the bits above `kBits`, plus kAdd.
  template <int kBits, int kAdd, class Ints>
  LLMRUN_INLINE static Ints Joined(const Ints& low, const Ints& high) {
    return low.With(high, [](typename Isa::I a, typename Isa::I b) {
      const auto both = Isa::AddInts(a, Isa::template ShiftIntsLeft<kBits>(b));
      if constexpr (kAdd == 0) return both;
      return Isa::AddInts(both, Isa::SetInt(kAdd));
    });
  }
};

// Eight scales and eight minimums of 6 bits each in 12 bytes from byte 4 on, as Q4_K and Q5_K have
// them: of the first four of each, the bytes hold also the top two bits of the last four, whose
// other bits are nibbles.
template <class Isa>
struct WithSixBitPairs : OfSuperblocks<Isa, 0> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;

  template <class In>
  LLMRUN_INLINE static typename Isa::F Min(const In& in) {
    return Isa::Negate(in.Halves(2));
  }
  template <class In>
  LLMRUN_INLINE static void Subs(const In& in, typename In::Ints (&scales)[2],
                                 typename In::Ints (&mins)[2]) {
    using Base = OfSuperblocks<Isa, 0>;
    typename Isa::B word[4];
    in.Dwords(4, word);
    scales[0] = In::template Fields<0, 8, 6>(word[0]);
    mins[0] = In::template Fields<0, 8, 6>(word[1]);
    scales[1] = Base::template Joined<4, 0>(In::template Fields<0, 8, 4>(word[2]),
                                            In::template Fields<6, 8, 2>(word[0]));
    mins[1] = Base::template Joined<4, 0>(In::template Fields<4, 8, 4>(word[2]),
                                          In::template Fields<6, 8, 2>(word[1]));
  }
};

// Of 64 columns: 32 bytes, low nibbles and then high nibbles.
template <class Isa>
struct Q4_K : WithSixBitPairs<Isa> {
  using Ops = ByteOps<Isa>;
  static constexpr int kBytes = 144;
  static constexpr int kMost = 15;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    LLMRUN_UNROLL for (int pair = 0; pair < 4; ++pair) {
      LLMRUN_UNROLL for (int half = 0; half < 2; ++half) {
        Ops::EachNibble(in.Piece(16 + pair * 32 + half * 16),
                        [&](int nibble, const typename In::Pieces& bytes) {
                          emit(pair * 4 + 2 * nibble + half, bytes);
                        });
      }
    }
  }
};

// The same, and 32 bytes with the fifth bit of every 32 columns.
template <class Isa>
struct Q5_K : WithSixBitPairs<Isa> {
  using Ops = ByteOps<Isa>;
  using Order = OrderOfQ5K;
  static constexpr int kBytes = 176;
  static constexpr int kMost = 31;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    LLMRUN_UNROLL for (int half = 0; half < 2; ++half) {
      const auto high = in.Piece(16 + half * 16);
      Pair<0>(in, half, high, emit);
      Pair<1>(in, half, high, emit);
      Pair<2>(in, half, high, emit);
      Pair<3>(in, half, high, emit);
    }
  }

 private:
  template <int pair, class In, class Emit>
  LLMRUN_INLINE static void Pair(const In& in, int half, const typename In::Pieces& high,
                                 Emit emit) {
    const auto bytes = in.Piece(48 + pair * 32 + half * 16);
    const auto low_bit = Ops::And(Ops::template Shift<2 * pair - 4>(high), 0x10);
    const auto high_bit = Ops::And(Ops::template Shift<2 * pair - 3>(high), 0x10);
    emit(pair * 4 + half, Ops::Or(Ops::LowNibbles(bytes), low_bit));
    emit(pair * 4 + 2 + half, Ops::Or(Ops::HighNibbles(bytes), high_bit));
  }
};

// Nibbles of a table, as IQ4_NL, 16 bytes for 32 columns; scales of 6 bits: low four in four bytes,
// high two in two bytes.
template <class Isa>
struct IQ4_XS : OfSuperblocks<Isa, 0> {
  using Ops = ByteOps<Isa>;
  using Table = NonLinearNibbles<Isa>;
  static constexpr int kBytes = 136;
  static constexpr int kOffset = Table::kOffset;
  static constexpr int kMost = 255;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    LLMRUN_UNROLL for (int i = 0; i < 8; ++i) {
      Ops::EachNibble(in.Piece(8 + i * 16), [&](int half, const typename In::Pieces& nibbles) {
        emit(2 * i + half, Table::Values(nibbles));
      });
    }
  }
  template <class In>
  LLMRUN_INLINE static typename Isa::F Scale(const In& in) {
    return in.FirstHalves(0);  // in the dword that has the high bits of scales, too
  }
  template <class In>
  LLMRUN_INLINE static void Subs(const In& in, typename In::Ints (&scales)[2]) {
    using Base = OfSuperblocks<Isa, 0>;
    typename Isa::B word[4];
    in.Dwords(0, word);
    scales[0] = Base::template Joined<4, -32>(In::template Fields<0, 4, 4>(word[1]),
                                              In::template Fields<16, 2, 2>(word[0]));
    scales[1] = Base::template Joined<4, -32>(In::template Fields<16, 4, 4>(word[1]),
                                              In::template Fields<24, 2, 2>(word[0]));
  }
};

}  // namespace llmrun::generic
