// Types of superblocks of 256 columns with a scale for every 16; see generic/formats.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/byte_ops.h"
#include "compute/kernels/generic/format_super.h"
#include "compute/kernels/generic/packed_order.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/shared_bytes.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// Of 128 columns: 64 bytes with the low four bits, of two quarters each; 32 with the high two
// bits, of four. Scales of 16 columns are signed bytes.
template <class Isa>
struct Q6_K : OfSuperblocks<Isa, 208> {
  using Ops = ByteOps<Isa>;
  using Order = OrderOfQ6K;
  static constexpr int kBytes = 210;
  static constexpr int kOffset = 32;
  static constexpr int kMost = 63;
  static constexpr int kSubCols = 16;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    LLMRUN_UNROLL for (int part = 0; part < 2; ++part) {
      LLMRUN_UNROLL for (int half = 0; half < 2; ++half) {
        const auto low0 = in.Piece(part * 64 + half * 16);
        const auto low1 = in.Piece(part * 64 + 32 + half * 16);
        const auto high = in.Piece(128 + part * 32 + half * 16);
        const int at = part * 8 + half;
        emit(at, Ops::Or(Ops::LowNibbles(low0), High<-4>(high)));
        emit(at + 2, Ops::Or(Ops::LowNibbles(low1), High<-2>(high)));
        emit(at + 4, Ops::Or(Ops::HighNibbles(low0), High<0>(high)));
        emit(at + 6, Ops::Or(Ops::HighNibbles(low1), High<2>(high)));
      }
    }
  }
  // Packed, fields share bytes.
  template <class Emit>
  LLMRUN_INLINE static void Quants(const PackedRows<Isa, Order>& in, Emit emit) {
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) {
      typename RowLanes<Isa>::Pieces bytes[3];
      in.PiecesFrom(i * 48, bytes);
      SharedBytes<Isa>::SixBits(
          bytes, [&](int quarter, const auto& x) { emit(i / 2 * 8 + i % 2 + 2 * quarter, x); });
    }
  }
  template <class In>
  LLMRUN_INLINE static void Subs(const In& in, typename In::Ints (&scales)[4]) {
    typename Isa::B word[4];
    in.Dwords(192, word);
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) {
      const typename Isa::B flipped = Isa::XorBytes(word[i], Isa::SetBytes(0x80));
      scales[i] = In::template Fields<0, 8, 8>(flipped).Map(
          [](typename Isa::I x) { return Isa::AddInts(x, Isa::SetInt(-128)); });
    }
  }

 private:
  template <int shift, class Bytes>
  LLMRUN_INLINE static Bytes High(const Bytes& x) {
    return Ops::And(Ops::template Shift<shift>(x), 0x30);
  }
};

// Two bits: of 128 columns 32 bytes, four quarters in each. Q2_K has scales and minimums of 16
// columns, four bits each, in a byte.
template <class Isa>
struct Q2_K : OfSuperblocks<Isa, 80> {
  static constexpr bool kTwoBits = true;
  using Ops = ByteOps<Isa>;
  static constexpr bool kHasMin = true;
  static constexpr int kBytes = 84;
  static constexpr int kOffset = 0;
  static constexpr int kMost = 3;
  static constexpr int kSubCols = 16;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    Ops::Quarters(in, 16, emit);
  }
  template <class In>
  LLMRUN_INLINE static typename Isa::F Min(const In& in) {
    return Isa::Negate(in.Halves(82));
  }
  template <class In>
  LLMRUN_INLINE static void Subs(const In& in, typename In::Ints (&scales)[4],
                                 typename In::Ints (&mins)[4]) {
    typename Isa::B word[4];
    in.Dwords(0, word);
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) {
      scales[i] = In::template Fields<0, 8, 4>(word[i]);
      mins[i] = In::template Fields<4, 8, 4>(word[i]);
    }
  }
};

// Two bits as in Q2_K, and 32 bytes with the third bit of every 32 columns. 16 scales of 6 bits in
// 12 bytes: nibbles of eight bytes, top bits in the other four.
template <class Isa>
struct Q3_K : OfSuperblocks<Isa, 108> {
  using Ops = ByteOps<Isa>;
  using Order = OrderOfQ3K;
  static constexpr int kBytes = 110;
  static constexpr int kOffset = 4;
  static constexpr int kMost = 7;
  static constexpr int kSubCols = 16;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    LLMRUN_UNROLL for (int half = 0; half < 2; ++half) {
      const auto high = Ops::Held(in.Piece(half * 16));
      Part<0>(Ops::Held(in.Piece(32 + half * 16)), high, half, emit);
      Part<1>(Ops::Held(in.Piece(64 + half * 16)), high, half, emit);
    }
  }
  // Packed, fields share bytes.
  template <class Emit>
  LLMRUN_INLINE static void Quants(const PackedRows<Isa, Order>& in, Emit emit) {
    LLMRUN_UNROLL for (int half = 0; half < 2; ++half) {
      typename RowLanes<Isa>::Pieces bytes[3];
      in.PiecesFrom(half * 48, bytes);
      SharedBytes<Isa>::ThreeBits(bytes, [&](int i, const auto& x) { emit(2 * i + half, x); });
    }
  }
  template <class In>
  LLMRUN_INLINE static void Subs(const In& in, typename In::Ints (&scales)[4]) {
    using Base = OfSuperblocks<Isa, 108>;
    typename Isa::B word[4];  // the first is not of the scales
    in.Dwords(92, word);
    scales[0] = Base::template Joined<4, -32>(In::template Fields<0, 8, 4>(word[1]),
                                              In::template Fields<0, 8, 2>(word[3]));
    scales[1] = Base::template Joined<4, -32>(In::template Fields<0, 8, 4>(word[2]),
                                              In::template Fields<2, 8, 2>(word[3]));
    scales[2] = Base::template Joined<4, -32>(In::template Fields<4, 8, 4>(word[1]),
                                              In::template Fields<4, 8, 2>(word[3]));
    scales[3] = Base::template Joined<4, -32>(In::template Fields<4, 8, 4>(word[2]),
                                              In::template Fields<6, 8, 2>(word[3]));
  }

 private:
  template <int part, class Bytes, class Emit>
  LLMRUN_INLINE static void Part(const Bytes& low, const Bytes& high, int half, Emit emit) {
    const int at = part * 8 + half;
    emit(at, ThreeBits<part, 0>(low, high));
    emit(at + 2, ThreeBits<part, 1>(low, high));
    emit(at + 4, ThreeBits<part, 2>(low, high));
    emit(at + 6, ThreeBits<part, 3>(low, high));
  }
  template <int part, int quarter, class Bytes>
  LLMRUN_INLINE static Bytes ThreeBits(const Bytes& low, const Bytes& high) {
    const Bytes third = Ops::And(Ops::template Shift<part * 4 + quarter - 2>(high), 4);
    return Ops::Or(Ops::template TwoBits<quarter>(low), third);
  }
};

}  // namespace llmrun::generic
