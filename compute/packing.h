// Packed rows: the same bits as the rows of a model file, in the order in which products read
// them, so that weights are rearranged where they lie and every kernel gives the bits it gives for
// rows of the file.
//
// 16 rows make a panel, which takes the place of its rows. A panel begins with what stands before
// each row (IQ2_BN's scale, one row after the other). Then come blocks, of 32 columns or of 256:
// each is the blocks of all 16 rows, field by field: what stands at `offset` of a block stands
// there for row r at 16 x At(offset) + r x width. A field is a 16-bit or 8-bit scale, or four bytes
// of anything else, and width its bytes; At is the type's order (kernels/generic/packed_order.h).
// Bits of Q3_K and Q6_K are rearranged then (kernels/generic/shared_bytes.h).
// Blocks are in the order in which they are added up (panel.h there). Rows behind the last whole
// panel stay as they are.
//
// The layout is the same for all instruction sets. Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/dtype.h"

namespace llmrun {

inline constexpr uint32_t kPackingVersion = 2;  // to be raised when the layout changes
inline constexpr int64_t kPackedPanelRows = 16;

// Whether there are kernels for packed rows of this type and length.
bool CanPack(DType type, int64_t n_cols);

// How many of so many rows are packed.
constexpr int64_t PackedRowsOf(int64_t n_rows) {
  return n_rows / kPackedPanelRows * kPackedPanelRows;
}

// In place. Requires: CanPack(), whole panels from the first row of a matrix (or of the part of it
// that lies on a node) on: rows.size() is a multiple of 16 rows' bytes.
void PackRows(DType type, int64_t n_cols, std::span<std::byte> rows);
void UnpackRows(DType type, int64_t n_cols, std::span<std::byte> rows);

}  // namespace llmrun
