// Products of weights of two bits with one token by looking sums up instead of multiplying
// (decision 26): two neighbouring columns have 16 possible sums, of which a table is made for each
// token; the two weights are the place in it. What is looked up for 16 columns of a row is added up
// exactly in bytes: a sum of two columns, less the middle of its table, is low + kTableUnit x high.
// The idea of tables for groups of weights: T-MAC (Wei et al. 2024); there, sums are rounded.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/byte_ops.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/unroll.h"
#include "compute/kernels/tables.h"

namespace llmrun::generic {

// Weights 0..3 of two columns give sums within 1.5 x 2 x 127 (rounded up: 382) of the middle. With
// this unit the high part is within 15 and the low one within 13: eight of either fit into a byte.
inline constexpr int kTableUnit = 26;
inline constexpr int kPieceColumns = 16;  // that are added up in bytes
inline constexpr int kPieceTableBytes = kPieceColumns * kTableBytesPerColumn;
// Tables of a piece: of columns 4g and 4g + 1 the low parts for g = 0..3, 16 bytes each, then the
// high parts; then the same of columns 4g + 2 and 4g + 3. Behind the tables of all pieces stand the
// sums of the middles of each.
inline constexpr int kPartBytes = 64;

template <class Isa>
void MakeTables(const int8_t* q, int64_t n_cols, int8_t* tables) {
  if constexpr (!Isa::kHasTables) {
    avx2::kKernels.make_tables(q, n_cols, tables);
  } else {
    int8_t* middles = tables + n_cols * kTableBytesPerColumn;
    for (int64_t piece = 0; piece < n_cols / kPieceColumns; ++piece) {
      int16_t sum = 0;
      for (int i = 0; i < kPieceColumns; i += 2) {
        const int first = q[i];
        const int second = q[i + 1];
        const int middle = first + second + ((first + second) >> 1);
        int8_t* low = tables + i % 4 / 2 * 2 * kPartBytes + i / 4 * 16;
        Isa::template PairTable<kTableUnit>(first, second, middle, low, low + kPartBytes);
        sum = static_cast<int16_t>(sum + middle);
      }
      __builtin_memcpy(middles + piece * static_cast<int>(sizeof sum), &sum, sizeof sum);
      q += kPieceColumns;
      tables += kPieceTableBytes;
    }
  }
}

// The tables of some columns of a token.
template <class Isa>
struct LookupTables {
  const int8_t* tables = nullptr;
  const int8_t* middles = nullptr;

  LookupTables() = default;
  LookupTables(const QuantizedRows& x, int64_t n_cols, int64_t first_col)
      : tables(x.tables + first_col * kTableBytesPerColumn),
        middles(x.tables + n_cols * kTableBytesPerColumn + first_col / kPieceColumns * 2) {}

  int Middles(int piece) const {
    int16_t sum = 0;
    __builtin_memcpy(&sum, middles + piece * static_cast<int>(sizeof sum), sizeof sum);
    return sum;
  }
  // What sums of looked up values begin with, instead of generic/token_sums.h.
  template <class Format>
  void PutStarts(const int16_t* sums, int cols, int32_t* start) const {
    constexpr int kPieces = Format::kSubCols / kPieceColumns;
    for (int piece = 0; piece < cols / kPieceColumns; ++piece) {
      int32_t& to = start[piece / kPieces];
      if (piece % kPieces == 0) to = 0;
      to += Middles(piece) - Format::kOffset * sums[piece];
    }
  }
};

// A source of pieces beside generic/pieces.h: packed rows, for formats whose pieces have weights of
// two bits in all bytes. What it gives are places in tables, of both pairs of four columns.
template <class Isa, class Order>
struct PairedRows {
  using B = typename Isa::B;
  using Pieces = Parts<BytesOf<Isa>, 2>;
  const std::byte* at;

  LLMRUN_INLINE ColumnPairs<Pieces> Piece(int offset) const {
    B columns[4];
    Isa::Columns(at + 16 * Order::At(offset), columns);
    ColumnPairs<Pieces> pairs;
    LLMRUN_UNROLL for (int i = 0; i < 2; ++i) {
      PairUp(columns[2 * i], columns[2 * i + 1], pairs.even.v[i], pairs.odd.v[i]);
    }
    return pairs;
  }

 private:
  // Of the four weights in each byte of a and b: the first and third of both beside each other, and
  // the second and fourth.
  LLMRUN_INLINE static void PairUp(B a, B b, B& even, B& odd) {
    const B differ =
        Isa::AndBytes(Isa::XorBytes(Isa::template ShiftRight<2>(a), b), Isa::SetBytes(0x33));
    odd = Isa::XorBytes(b, differ);
    even = Isa::XorBytes(a, Isa::template ShiftLeft<2>(differ));
  }
};

// Of 16 rows: the sum over a piece.
template <class Isa>
LLMRUN_INLINE typename Isa::I LookUpPiece(const int8_t* tables,
                                          const Parts<BytesOf<Isa>, 2>& places) {
  const int8_t* second = tables + 2 * kPartBytes;
  const auto low =
      Isa::AddBytes(Isa::LookUpLanes(tables, places.v[0]), Isa::LookUpLanes(second, places.v[1]));
  const auto high = Isa::AddBytes(Isa::LookUpLanes(tables + kPartBytes, places.v[0]),
                                  Isa::LookUpLanes(second + kPartBytes, places.v[1]));
  return Isa::template SumOfLanes<kTableUnit>(low, high);
}

}  // namespace llmrun::generic
