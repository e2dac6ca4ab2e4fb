#include "compute/packing.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "compute/bit_packing.h"
#include "compute/kernels.h"
#include "compute/kernels/generic/packed_order.h"
#include "compute/kernels/generic/panel.h"

namespace llmrun {
namespace {

constexpr int64_t kLineBytes = 64;  // of a cache

// Fields of a block that follow each other in the file.
struct Fields {
  int count = 0;
  int width = 0;  // bytes
};
struct BlockFields {
  DType type;
  std::array<Fields, 2> fields;
  int (*packed_at)(int offset) = generic::OrderOfFile::At;
  BitMoves bits = {};
};
constexpr BlockFields kFields[] = {
    {DType::kQ8_0, {{{1, 2}, {8, 4}}}},
    {DType::kQ4_0, {{{1, 2}, {4, 4}}}},
    {DType::kQ4_1, {{{2, 2}, {4, 4}}}},
    {DType::kQ5_0, {{{1, 2}, {5, 4}}}},
    {DType::kQ5_1, {{{2, 2}, {5, 4}}}},
    {DType::kIQ4_NL, {{{1, 2}, {4, 4}}}},
    {DType::kMXFP4, {{{1, 1}, {4, 4}}}},
    {DType::kQ2_K, {{{20, 4}, {2, 2}}}},
    {DType::kQ3_K, {{{27, 4}, {1, 2}}}, generic::OrderOfQ3K::At, {PackThreeBits, UnpackThreeBits}},
    {DType::kQ4_K, {{{2, 2}, {35, 4}}}},
    {DType::kQ5_K, {{{2, 2}, {43, 4}}}, generic::OrderOfQ5K::At},
    {DType::kQ6_K, {{{52, 4}, {1, 2}}}, generic::OrderOfQ6K::At, {PackSixBits, UnpackSixBits}},
    {DType::kIQ4_XS, {{{34, 4}, {0, 0}}}},
    {DType::kTQ1_0, {{{13, 4}, {1, 2}}}},
    {DType::kTQ2_0, {{{16, 4}, {1, 2}}}},
    {DType::kI2_S, {{{16, 4}, {0, 0}}}},
    {DType::kIQ2_BN, {{{16, 4}, {0, 0}}}},
};

const BlockFields* FieldsOf(DType type) {
  const auto* found = std::ranges::find(kFields, type, &BlockFields::type);
  return found == std::end(kFields) ? nullptr : found;
}

template <bool kIsSuper>
struct Shape {
  static constexpr bool kSuper = kIsSuper;
  static constexpr int kSubCols = kQuantBlock;
};

// One field of all rows of a panel: `raw` is that of the first, the others follow row_bytes apart.
template <size_t kWidth, bool kPack>
void MoveField(std::byte* raw, uint64_t row_bytes, std::byte* packed) {
  for (uint64_t row = 0; row < kPackedPanelRows; ++row) {
    std::byte* const in_row = raw + row * row_bytes;
    std::byte* const in_panel = packed + row * kWidth;
    std::memcpy(kPack ? in_panel : in_row, kPack ? in_row : in_panel, kWidth);
  }
}

using FourWords = uint32_t __attribute__((vector_size(16)));

FourWords LoadFour(const std::byte* from) {
  FourWords x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
void StoreFour(std::byte* to, FourWords x) { std::memcpy(to, &x, sizeof x); }

// The same for four fields of four bytes that follow each other in the rows, each to its place.
// Without arrays or inner loops, which GCC would leave in memory.
template <bool kPack>
void MoveFourFields(std::byte* raw, uint64_t row_bytes, std::byte* packed,
                    const std::array<int, 4>& places) {
  for (uint64_t row = 0; row < kPackedPanelRows; row += 4) {
    std::byte* const in_rows = raw + row * row_bytes;
    std::byte* const in_panel = packed + row * sizeof(uint32_t);
    const auto at = [&](uint64_t i, bool rows) {
      return rows ? in_rows + i * row_bytes : in_panel + places[i];
    };
    const FourWords v0 = LoadFour(at(0, kPack));
    const FourWords v1 = LoadFour(at(1, kPack));
    const FourWords v2 = LoadFour(at(2, kPack));
    const FourWords v3 = LoadFour(at(3, kPack));
    const FourWords low01 = __builtin_shufflevector(v0, v1, 0, 4, 1, 5);
    const FourWords high01 = __builtin_shufflevector(v0, v1, 2, 6, 3, 7);
    const FourWords low23 = __builtin_shufflevector(v2, v3, 0, 4, 1, 5);
    const FourWords high23 = __builtin_shufflevector(v2, v3, 2, 6, 3, 7);
    StoreFour(at(0, !kPack), __builtin_shufflevector(low01, low23, 0, 1, 4, 5));
    StoreFour(at(1, !kPack), __builtin_shufflevector(low01, low23, 2, 3, 6, 7));
    StoreFour(at(2, !kPack), __builtin_shufflevector(high01, high23, 0, 1, 4, 5));
    StoreFour(at(3, !kPack), __builtin_shufflevector(high01, high23, 2, 3, 6, 7));
  }
}

// One field of a block, or (width 16) four of four bytes.
struct Move {
  int offset;
  int width;
  std::array<int, 4> places;  // in the packed block of 16 rows
};
std::vector<Move> MovesOf(const BlockFields& layout) {
  const auto place = [&](int offset) {
    return layout.packed_at(offset) * static_cast<int>(kPackedPanelRows);
  };
  std::vector<Move> moves;
  int offset = 0;
  for (const auto& [count, width] : layout.fields) {
    for (int left = count; left > 0;) {
      const bool four = width == 4 && left >= 4;
      Move move{offset, four ? 16 : width, {place(offset)}};
      for (int i = 1; four && i < 4; ++i) {
        move.places[static_cast<size_t>(i)] = place(offset + i * width);
      }
      moves.push_back(move);
      left -= four ? 4 : 1;
      offset += move.width;
    }
  }
  return moves;
}

// How a type's blocks are moved.
struct Moves {
  std::vector<Move> bytes;
  BitMoves bits;
};

template <bool kPack>
void MoveBlock(const Moves& moves, std::byte* raw, uint64_t row_bytes, std::byte* packed) {
  if (!kPack && moves.bits.unpack != nullptr) moves.bits.unpack(packed);
  for (const auto& [offset, width, places] : moves.bytes) {
    std::byte* const from = raw + offset;
    std::byte* const to = packed + places[0];
    if (width == 16) MoveFourFields<kPack>(from, row_bytes, packed, places);
    if (width == 4) MoveField<4, kPack>(from, row_bytes, to);
    if (width == 2) MoveField<2, kPack>(from, row_bytes, to);
    if (width == 1) MoveField<1, kPack>(from, row_bytes, to);
  }
  if (kPack && moves.bits.pack != nullptr) moves.bits.pack(packed);
}

// One panel, between its rows and its packed form. `next` is what will be moved after it: rows that
// have just been read lie in memory, not in a cache, and a core waits longer for them than it
// moves.
template <bool kPack, bool kIsSuper>
void MovePanel(const Moves& moves, int64_t block_bytes, uint32_t head_bytes, int64_t n_cols,
               uint64_t row_bytes, std::byte* raw, std::byte* packed, const std::byte* next) {
  using generic::kSectionCols;
  using Block = generic::BlockOf<Shape<kIsSuper>>;
  if (head_bytes != 0) MoveField<4, kPack>(raw, row_bytes, packed);
  raw += head_bytes;
  packed += kPackedPanelRows * head_bytes;
  for (int64_t col = 0; col < n_cols; col += kSectionCols) {
    const int blocks =
        static_cast<int>(std::min<int64_t>(kSectionCols, n_cols - col) / Block::kCols);
    for (int i = 0; i < blocks; ++i) {
      const int64_t bytes = kPackedPanelRows * block_bytes;
      for (int64_t at = 0; at < bytes; at += kLineBytes) __builtin_prefetch(next + at, 1, 2);
      next += bytes;
      MoveBlock<kPack>(moves, raw + i * block_bytes, row_bytes,
                       packed + Block::Place(i, blocks) * bytes);
    }
    raw += blocks * block_bytes;
    packed += blocks * kPackedPanelRows * block_bytes;
  }
}

template <bool kPack>
void MovePanels(DType type, int64_t n_cols, std::span<std::byte> rows) {
  CHECK(CanPack(type, n_cols));
  const BlockFields& layout = *FieldsOf(type);
  const Moves moves = {MovesOf(layout), layout.bits};
  const int64_t block_bytes = moves.bytes.back().offset + moves.bytes.back().width;
  const uint32_t head_bytes = TraitsOf(type).row_head_bytes;
  CHECK(head_bytes == 0 || head_bytes == sizeof(float));
  const uint64_t row_bytes = RowBytes(type, static_cast<uint64_t>(n_cols));
  const uint64_t panel_bytes = kPackedPanelRows * row_bytes;
  CHECK(rows.size() % panel_bytes == 0);
  std::vector<std::byte> copy(panel_bytes);
  for (size_t at = 0; at < rows.size(); at += panel_bytes) {
    std::byte* panel = rows.data() + at;
    std::memcpy(copy.data(), panel, panel_bytes);
    const std::byte* next = panel + panel_bytes;  // only a hint where the rows end
    std::byte* raw = kPack ? copy.data() : panel;
    std::byte* packed = kPack ? panel : copy.data();
    if (MatmulColumns(type) == generic::kSuperCols) {
      MovePanel<kPack, true>(moves, block_bytes, head_bytes, n_cols, row_bytes, raw, packed, next);
    } else {
      MovePanel<kPack, false>(moves, block_bytes, head_bytes, n_cols, row_bytes, raw, packed, next);
    }
  }
}

}  // namespace

bool CanPack(DType type, int64_t n_cols) {
  return FieldsOf(type) != nullptr && n_cols > 0 && n_cols % MatmulColumns(type) == 0;
}

void PackRows(DType type, int64_t n_cols, std::span<std::byte> rows) {
  MovePanels<true>(type, n_cols, rows);
}

void UnpackRows(DType type, int64_t n_cols, std::span<std::byte> rows) {
  MovePanels<false>(type, n_cols, rows);
}

}  // namespace llmrun
