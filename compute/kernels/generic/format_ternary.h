// Ternary types of 256 columns with one scale; see generic/formats.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/byte_ops.h"
#include "compute/kernels/generic/format_super.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, int kScaleAt>
struct TernaryBlocks : OfSuperblocks<Isa, kScaleAt> {
  static constexpr bool kHasSubs = false;
  static constexpr int kOffset = 1;
  static constexpr int kMost = 2;
};

// Two bits: of 128 columns 32 bytes, four quarters in each.
template <class Isa>
struct TQ2_0 : TernaryBlocks<Isa, 64> {
  static constexpr bool kTwoBits = true;
  using Ops = ByteOps<Isa>;
  static constexpr int kBytes = 66;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    Ops::Quarters(in, 0, emit);
  }
};

// Five digits to the base of three in a byte, as a fraction of 256: the first is what three times
// the byte has above 256, the rest goes on. 32 bytes hold 160 columns, 16 bytes 80, and four bytes
// the last 16, in four digits.
template <class Isa>
struct TQ1_0 : TernaryBlocks<Isa, 52> {
  using Ops = ByteOps<Isa>;
  static constexpr int kBytes = 54;

  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    auto first = in.Piece(0);
    auto second = in.Piece(16);
    auto third = in.Piece(32);
    LLMRUN_UNROLL for (int i = 0; i < 5; ++i) {
      emit(2 * i, Digits(first));
      emit(2 * i + 1, Digits(second));
      emit(10 + i, Digits(third));
      first = Next(first);
      second = Next(second);
      third = Next(third);
    }
    emit(15, Digits(in.FourPowers(48)));
  }

 private:
  template <class Bytes>
  LLMRUN_INLINE static Bytes Digits(const Bytes& x) {
    return x.Map([](typename Isa::B v) {
      return Isa::AddBytes(Isa::template AtLeast<86>(v), Isa::template AtLeast<171>(v));
    });
  }
  template <class Bytes>
  LLMRUN_INLINE static Bytes Next(const Bytes& x) {
    return x.Map([](typename Isa::B v) { return Isa::AddBytes(v, Isa::AddBytes(v, v)); });
  }
};

// Rows of 256 columns' bytes: one scale for a row, or for the tensor, is for the caller to multiply
// results with.
template <class Isa>
struct TernaryRows : TernaryBlocks<Isa, 0> {
  static constexpr int kBytes = 64;
  template <class In>
  LLMRUN_INLINE static typename Isa::F Scale(const In& /*in*/) {
    return Isa::Set(1.0F);
  }
};

// 16 bytes hold 64 columns, 16 in the lowest bits of all bytes, then 16 in the next (ik_llama.cpp).
template <class Isa>
struct IQ2_BN : TernaryRows<Isa> {
  static constexpr bool kTwoBits = true;
  using Ops = ByteOps<Isa>;
  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) {
      Ops::EachTwoBits(in.Piece(i * 16),
                       [&](int run, const typename In::Pieces& bits) { emit(4 * i + run, bits); });
    }
  }
};

// 32 bytes hold 128 columns, 32 in the highest bits of all bytes, then 32 in the next (the x86
// layout of BitNet's models).
template <class Isa>
struct I2_S : TernaryRows<Isa> {
  static constexpr bool kTwoBits = true;
  using Ops = ByteOps<Isa>;
  template <class In, class Emit>
  LLMRUN_INLINE static void Quants(const In& in, Emit emit) {
    Ops::Quarters(in, 0, [&](int piece, const typename In::Pieces& bits) {
      emit(piece ^ 6, bits);  // the quarters from the last to the first
    });
  }
};

}  // namespace llmrun::generic
