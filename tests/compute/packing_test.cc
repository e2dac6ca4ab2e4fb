#include "compute/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "compute/kernels.h"
#include "tests/compute/compute_testing.h"

namespace llmrun {
namespace {

using testing::Activations;
using testing::ArgsFor;
using testing::Bits;
using testing::Guard;
using testing::Guarded;

std::span<std::byte> Panels(DType type, int64_t cols, std::span<std::byte> rows, int64_t n_rows) {
  return rows.first(static_cast<size_t>(PackedRowsOf(n_rows)) *
                    RowBytes(type, static_cast<uint64_t>(cols)));
}

TEST(Packing, KnowsWhatKernelsKnow) {
  for (DType type : testing::kMatmulTypes) {
    EXPECT_EQ(CanPack(type, 512), UsesQuantizedActivations(type)) << NameOf(type);
    EXPECT_FALSE(CanPack(type, 0));
    if (MatmulColumns(type) > 1) {
      EXPECT_FALSE(CanPack(type, 512 + MatmulColumns(type) / 2));
    }
  }
  EXPECT_FALSE(CanPack(DType::kI32, 512));
  EXPECT_EQ(PackedRowsOf(15), 0);
  EXPECT_EQ(PackedRowsOf(47), 32);
}

// As the header says it: of each field 16 rows, one beside the other.
TEST(Packing, FieldsOfSixteenRowsLieTogether) {
  constexpr int64_t kCols = 64;  // two blocks of 18 bytes
  std::mt19937 random(3);
  const auto rows = testing::RandomWeights(DType::kQ4_0, 16, kCols, random);
  std::vector<std::byte> packed = rows;
  PackRows(DType::kQ4_0, kCols, packed);
  for (size_t row = 0; row < 16; ++row) {
    for (size_t block = 0; block < 2; ++block) {
      const std::byte* raw = &rows[row * 36 + block * 18];
      const std::byte* panel = &packed[block * 16 * 18];
      EXPECT_EQ(std::memcmp(panel + 2 * row, raw, 2), 0);
      for (size_t offset = 2; offset < 18; offset += 4) {
        EXPECT_EQ(std::memcmp(panel + 16 * offset + 4 * row, raw + offset, 4), 0);
      }
    }
  }
}

// The bytes that share the bits of fields: of row `row`, byte `c` of the `set`-th 16.
std::array<int, 3> SharedBytesOf(const std::vector<std::byte>& packed, size_t set, size_t row,
                                 size_t c) {
  std::array<int, 3> bytes;
  for (size_t i = 0; i < 3; ++i) {
    bytes[i] = static_cast<int>(packed[16 * (set * 48 + i * 16 + c / 4 * 4) + 4 * row + c % 4]);
  }
  return bytes;
}

// As kernels/generic/shared_bytes.h says it.
TEST(Packing, ThreeBitsShareBytes) {
  std::mt19937 random(5);
  const auto rows = testing::RandomWeights(DType::kQ3_K, 16, 256, random);
  std::vector<std::byte> packed = rows;
  PackRows(DType::kQ3_K, 256, packed);
  for (size_t row = 0; row < 16; ++row) {
    const auto raw = [&](size_t at) { return static_cast<int>(rows[row * 110 + at]); };
    for (size_t c = 0; c < 32; ++c) {
      std::array<int, 8> v;  // of columns c, c + 32, ...
      for (size_t i = 0; i < 8; ++i) {
        const int low = raw(32 + i / 4 * 32 + c) >> 2 * (i % 4) & 3;
        v[i] = low | (raw(c) >> i & 1) << 2;
      }
      const auto b = SharedBytesOf(packed, c / 16, row, c % 16);
      EXPECT_EQ(b[0], v[0] | v[1] << 3 | (v[6] & 3) << 6);
      EXPECT_EQ(b[1], v[2] | v[3] << 3 | (v[7] & 3) << 6);
      EXPECT_EQ(b[2], v[4] | v[5] << 3 | v[6] >> 2 << 6 | v[7] >> 2 << 7);
    }
  }
}
TEST(Packing, SixBitsShareBytes) {
  std::mt19937 random(5);
  const auto rows = testing::RandomWeights(DType::kQ6_K, 16, 256, random);
  std::vector<std::byte> packed = rows;
  PackRows(DType::kQ6_K, 256, packed);
  for (size_t row = 0; row < 16; ++row) {
    const auto raw = [&](size_t at) { return static_cast<int>(rows[row * 210 + at]); };
    for (size_t c = 0; c < 64; ++c) {
      const size_t part = c / 32;  // of 128 columns
      std::array<int, 4> v;        // of columns c % 32, c % 32 + 32, ... of the part
      for (size_t i = 0; i < 4; ++i) {
        const int nibbles = raw(part * 64 + i % 2 * 32 + c % 32);
        v[i] = (nibbles >> 4 * (i / 2) & 15) | (raw(128 + c) >> 2 * i & 3) << 4;
      }
      const auto b = SharedBytesOf(packed, c / 16, row, c % 16);
      for (size_t i = 0; i < 3; ++i) EXPECT_EQ(b[i], v[i] | (v[3] >> 2 * i & 3) << 6);
    }
  }
}

// Twenty blocks of 32 columns: the first of class 0, then the seventeenth, then those of class 1.
TEST(Packing, BlocksLieInTheOrderOfTheSum) {
  constexpr int64_t kCols = 20 * 32;
  std::vector<std::byte> rows(16 * 20 * 34);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::byte>(i / 34 % 20);
  PackRows(DType::kQ8_0, kCols, rows);
  const int order[] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(static_cast<int>(rows[i]), order[i / (16 * 34)]) << i;
  }
}

TEST(Packing, UnpackingGivesTheRowsBack) {
  std::mt19937 random(4);
  for (DType type : testing::kQuantTypes) {
    for (int64_t cols : {256, 512, 4096, 4096 + 768, 2 * 4096 + 256}) {
      const auto rows = testing::RandomWeights(type, 48, cols, random);
      std::vector<std::byte> packed = rows;
      PackRows(type, cols, packed);
      EXPECT_NE(packed, rows) << NameOf(type);
      UnpackRows(type, cols, packed);
      ASSERT_EQ(packed, rows) << NameOf(type) << ' ' << cols;
    }
  }
}

class PackedMatmul : public ::testing::TestWithParam<DType> {};

// Whatever the level, the range of rows, and the number of tokens; nothing is read behind the last.
TEST_P(PackedMatmul, GivesTheBitsOfUnpackedRows) {
  const DType type = GetParam();
  std::mt19937 random(6);
  const std::vector<int64_t> columns = MatmulColumns(type) == 32
                                           ? std::vector<int64_t>{32, 96, 4096 + 64, 4 * 4096 + 544}
                                           : std::vector<int64_t>{256, 1280, 4 * 4096 + 512};
  for (int64_t cols : columns) {
    constexpr int64_t kRows = 73;  // four panels and nine rows
    const auto rows = testing::RandomWeights(type, kRows, cols, random);
    Guarded<std::byte> guarded(rows, Guard::kAfter);
    PackRows(type, cols, Panels(type, cols, guarded.span(), kRows));
    for (int64_t tokens : {1, 2, 3, 4, 5, 8, 13}) {
      const Activations a =
          testing::Quantize(testing::RandomFloats(tokens * cols, random), tokens, cols);
      std::vector<float> expected(static_cast<size_t>(kRows * tokens));
      ASSERT_TRUE(KernelsFor(IsaLevel::kPortable)
                      .matmul(ArgsFor(type, rows.data(), kRows, cols, a, tokens, expected.data())));
      for (const Kernels* kernels : testing::SupportedKernels()) {
        for (const bool look_up : {false, true}) {  // which several tokens and other types ignore
          const testing::OwnTables tables(*kernels, a, cols);
          std::vector<float> out(expected.size(), -1.0F);
          int64_t begin = 0;
          for (int64_t end : {5, 11, 16, 40, 48, 70, 73}) {  // of each, those before it are done
            MatmulArgs args = ArgsFor(type, guarded.data(), kRows, cols, a, tokens, out.data());
            args.packed_rows = PackedRowsOf(kRows);
            args.row_begin = begin;
            args.row_end = end;
            if (look_up) args.xq.tables = tables.data();
            ASSERT_TRUE(kernels->matmul(args));
            begin = end;
          }
          ASSERT_EQ(Bits(out), Bits(expected))
              << NameOf(kernels->isa) << ' ' << cols << " columns " << tokens << " tokens"
              << (look_up ? ", looked up" : "");
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PackedMatmul,
                         ::testing::ValuesIn(testing::kQuantTypes.begin(),
                                             testing::kQuantTypes.end()),
                         [](const auto& test) { return std::string(NameOf(test.param)); });

}  // namespace
}  // namespace llmrun
