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
    Digits<5>(in.Piece(0), [&](int i, const auto& digits) { emit(2 * i, digits); });
    Digits<5>(in.Piece(16), [&](int i, const auto& digits) { emit(2 * i + 1, digits); });
    Digits<5>(in.Piece(32), [&](int i, const auto& digits) { emit(10 + i, digits); });
    Digits<1>(in.FourPowers(48), [&](int /*i*/, const auto& digits) { emit(15, digits); });
  }

 private:
  using B = typename Isa::B;

  // Calls emit(i, digits) for the first n. Flipping the top bit commutes with multiplying by three.
  template <int n, class Bytes, class Emit>
  LLMRUN_INLINE static void Digits(const Bytes& x, Emit emit) {
    Bytes rest = x.Map([](B v) { return Isa::XorBytes(v, Isa::SetBytes(0x80)); });
    LLMRUN_UNROLL for (int i = 0; i < n; ++i) {
      emit(i, rest.Map([](B v) { return Isa::DigitOfFlipped(v); }));
      rest = rest.Map([](B v) { return Isa::AddBytes(v, Isa::AddBytes(v, v)); });
    }
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
