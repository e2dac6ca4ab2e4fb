// Where the bytes of quantized blocks come from, in the ways that products read them. What a
// format does with bytes is the same in both; only what lies beside each other differs.
//
// SixteenRows: a block of each of 16 rows, for panels. A piece of 16 bytes becomes four vectors:
// lane r of the i-th has bytes 4i..4i+3 of row r. PackedRows: the same, where a load has brought
// the bytes of 16 rows together.
// FourBlocks: four blocks of one row. A piece becomes one vector, those of the blocks in turn.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa>
struct BytesOf {
  using V = typename Isa::B;
};
template <class Isa>
struct IntsOf {
  using V = typename Isa::I;
};

// What becomes of a piece: n vectors.
template <class Of, int n>
struct Parts {
  typename Of::V v[n];

  template <class Function>
  LLMRUN_INLINE Parts Map(Function function) const {
    Parts r;
    LLMRUN_UNROLL for (int i = 0; i < n; ++i) r.v[i] = function(v[i]);
    return r;
  }
  template <class Function>
  LLMRUN_INLINE Parts With(const Parts& other, Function function) const {
    Parts r;
    LLMRUN_UNROLL for (int i = 0; i < n; ++i) r.v[i] = function(v[i], other.v[i]);
    return r;
  }
};

// One row a lane.
template <class Isa>
struct RowLanes {
  using B = typename Isa::B;
  using Pieces = Parts<BytesOf<Isa>, 4>;
  using Ints = Parts<IntsOf<Isa>, 4>;

  // Fields of four dwords' bits: kShift + kStep x i for the i-th of four subjects.
  template <int kShift, int kStep, int kBits>
  LLMRUN_INLINE static Ints Fields(B x) {
    return {Isa::template Field<kShift, kBits>(x), Isa::template Field<kShift + kStep, kBits>(x),
            Isa::template Field<kShift + 2 * kStep, kBits>(x),
            Isa::template Field<kShift + 3 * kStep, kBits>(x)};
  }
  // Of 32 bits, what those of half the columns are, as 16 or 0.
  template <int half>
  LLMRUN_INLINE static Pieces Fifth(B bits) {
    return {Isa::template FourBits<half * 16>(bits), Isa::template FourBits<half * 16 + 4>(bits),
            Isa::template FourBits<half * 16 + 8>(bits),
            Isa::template FourBits<half * 16 + 12>(bits)};
  }
  // Four bytes times 1, 3, 9 and 27, as 16.
  LLMRUN_INLINE static Pieces Powers(B four) {
    Pieces r;
    r.v[0] = four;
    LLMRUN_UNROLL for (int i = 1; i < 4; ++i) {
      r.v[i] = Isa::AddBytes(r.v[i - 1], Isa::AddBytes(r.v[i - 1], r.v[i - 1]));
    }
    return r;
  }
};

template <class Isa>
struct SixteenRows : RowLanes<Isa> {
  using B = typename Isa::B;
  using Pieces = typename RowLanes<Isa>::Pieces;
  const std::byte* at;  // of row 0
  int64_t stride;

  LLMRUN_INLINE SixteenRows(const std::byte* first, int64_t row_stride)
      : at(first), stride(row_stride) {}

  LLMRUN_INLINE Pieces Piece(int offset) const {
    Pieces r;
    Isa::Transpose(at + offset, stride, r.v);
    return r;
  }
  // The i-th four bytes of a piece.
  LLMRUN_INLINE void Dwords(int offset, B (&dwords)[4]) const {
    Isa::Transpose(at + offset, stride, dwords);
  }
  LLMRUN_INLINE typename Isa::F Halves(int offset) const {
    return Isa::GatherHalves(at + offset, stride);
  }
  // The first half of four bytes.
  LLMRUN_INLINE typename Isa::F FirstHalves(int offset) const { return Halves(offset); }
  LLMRUN_INLINE typename Isa::I Bytes(int offset) const {
    return Isa::GatherBytes(at + offset, stride);
  }
  // 32 bits, of the columns of a block.
  LLMRUN_INLINE B Bits(int offset) const { return Isa::GatherWords(at + offset, stride); }
  LLMRUN_INLINE Pieces FourPowers(int offset) const { return RowLanes<Isa>::Powers(Bits(offset)); }
};

// The same from packed rows (compute/packing.h).
template <class Isa, class Order>
struct PackedRows : RowLanes<Isa> {
  using B = typename Isa::B;
  using Pieces = typename RowLanes<Isa>::Pieces;
  const std::byte* at;

  LLMRUN_INLINE explicit PackedRows(const std::byte* block) : at(block) {}

  LLMRUN_INLINE Pieces Piece(int offset) const {
    Pieces r;
    Dwords(offset, r.v);
    return r;
  }
  LLMRUN_INLINE void Dwords(int offset, B (&dwords)[4]) const {
    LLMRUN_UNROLL for (int i = 0; i < 4; ++i) dwords[i] = Bits(offset + 4 * i);
  }
  LLMRUN_INLINE typename Isa::F Halves(int offset) const { return Isa::LoadF16(Rows(offset)); }
  LLMRUN_INLINE typename Isa::F FirstHalves(int offset) const {
    return Isa::GatherHalves(Rows(offset), 4);
  }
  LLMRUN_INLINE typename Isa::I Bytes(int offset) const { return Isa::WidenBytes(Rows(offset)); }
  LLMRUN_INLINE B Bits(int offset) const { return Load(Rows(offset)); }
  LLMRUN_INLINE Pieces FourPowers(int offset) const { return RowLanes<Isa>::Powers(Bits(offset)); }

  // n pieces that follow each other in packed rows, from `begin` on there.
  template <int n>
  LLMRUN_INLINE void PiecesFrom(int begin, Pieces (&pieces)[n]) const {
    LLMRUN_UNROLL for (int i = 0; i < 4 * n; ++i) {
      pieces[i / 4].v[i % 4] = Load(at + 16 * (begin + 4 * i));
    }
  }

 private:
  LLMRUN_INLINE static B Load(const std::byte* from) {
    return Isa::LoadBytes(reinterpret_cast<const int8_t*>(from));
  }
  LLMRUN_INLINE const std::byte* Rows(int offset) const { return at + 16 * Order::At(offset); }
};

template <class Isa>
struct FourBlocks {
  using B = typename Isa::B;
  using Pieces = Parts<BytesOf<Isa>, 1>;
  using Ints = Parts<IntsOf<Isa>, 1>;
  const std::byte* at;
  int64_t stride;  // from block to block

  LLMRUN_INLINE Pieces Piece(int offset) const {
    const std::byte* p = at + offset;
    return {Isa::FourPieces({p, p + stride, p + 2 * stride, p + 3 * stride})};
  }
  LLMRUN_INLINE void Dwords(int offset, B (&dwords)[4]) const {
    const B piece = Piece(offset).v[0];
    dwords[0] = Isa::template Dword<0>(piece);
    dwords[1] = Isa::template Dword<1>(piece);
    dwords[2] = Isa::template Dword<2>(piece);
    dwords[3] = Isa::template Dword<3>(piece);
  }
  template <int kShift, int kStep, int kBits>
  LLMRUN_INLINE static Ints Fields(B x) {
    return {Isa::template Fields<kShift, kStep, kBits>(x)};
  }
  // One half of each block, for its four lanes.
  LLMRUN_INLINE typename Isa::F Halves(int offset) const {
    return Isa::FourHalves(at + offset, stride);
  }
  LLMRUN_INLINE typename Isa::F FirstHalves(int offset) const { return Halves(offset); }
  LLMRUN_INLINE B Bits(int offset) const { return Piece(offset).v[0]; }
  template <int half>
  LLMRUN_INLINE static Pieces Fifth(B bits) {
    return {Isa::template SixteenBits<half>(bits)};
  }
  LLMRUN_INLINE Pieces FourPowers(int offset) const {
    return {Isa::PowersOfThree(Isa::template Dword<3>(Piece(offset - 12).v[0]))};
  }
};

// Sixteen neighbouring blocks of one row, for what there is one of in each.
template <class Isa, int kStride>
struct SixteenBlocks {
  const std::byte* at;
  LLMRUN_INLINE typename Isa::F Halves(int offset) const {
    return Isa::template NeighbourHalves<kStride>(at + offset);
  }
  LLMRUN_INLINE typename Isa::I Bytes(int offset) const {
    return Isa::GatherBytes(at + offset, kStride);
  }
};

}  // namespace llmrun::generic
