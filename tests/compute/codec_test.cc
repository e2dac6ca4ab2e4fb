// The layouts, written down a second time from the format's description: as the position of each
// bit of a value, in contrast to the decoder's loops.
#include "compute/codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "tests/compute/compute_testing.h"

namespace llmrun {
namespace {

using Block = std::vector<uint8_t>;

double HalfAt(const Block& b, size_t at) {
  return HalfToFloat(static_cast<uint16_t>(b[at] | b[at + 1] << 8));
}

double WantQ8_0(const Block& b, size_t i) {
  return HalfAt(b, 0) * (b[2 + i] < 128 ? b[2 + i] : b[2 + i] - 256);
}

double WantQ4_0(const Block& b, size_t i) {
  const int nibble = i < 16 ? b[2 + i] % 16 : b[2 + i - 16] / 16;
  return HalfAt(b, 0) * (nibble - 8);
}

double WantQ4_K(const Block& b, size_t i) {
  const uint8_t* s = b.data() + 4;
  const int scales[8] = {s[0] % 64,
                         s[1] % 64,
                         s[2] % 64,
                         s[3] % 64,
                         s[8] % 16 + s[0] / 64 * 16,
                         s[9] % 16 + s[1] / 64 * 16,
                         s[10] % 16 + s[2] / 64 * 16,
                         s[11] % 16 + s[3] / 64 * 16};
  const int mins[8] = {s[4] % 64,
                       s[5] % 64,
                       s[6] % 64,
                       s[7] % 64,
                       s[8] / 16 + s[4] / 64 * 16,
                       s[9] / 16 + s[5] / 64 * 16,
                       s[10] / 16 + s[6] / 64 * 16,
                       s[11] / 16 + s[7] / 64 * 16};
  const size_t pair = i / 64;
  const int byte = b[16 + pair * 32 + i % 32];
  const int q = i % 64 < 32 ? byte % 16 : byte / 16;
  return HalfAt(b, 0) * scales[i / 32] * q - HalfAt(b, 2) * mins[i / 32];
}

double WantQ6_K(const Block& b, size_t i) {
  const size_t half = i / 128;
  const size_t l = i % 32;
  const uint8_t* ql = b.data() + half * 64;
  const int high = b[128 + half * 32 + l];
  int q = 0;
  switch (i % 128 / 32) {
    case 0:
      q = ql[l] % 16 + high % 4 * 16;
      break;
    case 1:
      q = ql[l + 32] % 16 + high / 4 % 4 * 16;
      break;
    case 2:
      q = ql[l] / 16 + high / 16 % 4 * 16;
      break;
    default:
      q = ql[l + 32] / 16 + high / 64 * 16;
  }
  const int scale = b[192 + i / 16] < 128 ? b[192 + i / 16] : b[192 + i / 16] - 256;
  return HalfAt(b, 208) * scale * (q - 32);
}

struct Layout {
  DType type;
  double (*want)(const Block&, size_t);
};
constexpr Layout kLayouts[] = {{DType::kQ8_0, WantQ8_0},
                               {DType::kQ4_0, WantQ4_0},
                               {DType::kQ4_K, WantQ4_K},
                               {DType::kQ6_K, WantQ6_K}};

void ExpectDecodes(const Layout& layout, const Block& block) {
  const size_t n = TraitsOf(layout.type).block_elems;
  std::vector<float> got(n);
  ASSERT_TRUE(DequantizeRow(layout.type, reinterpret_cast<const std::byte*>(block.data()),
                            static_cast<int64_t>(n), got.data()));
  for (size_t i = 0; i < n; ++i) {
    // All products are exact in float; Q4_K's difference is rounded once.
    const auto want = static_cast<float>(layout.want(block, i));
    if (got[i] != want) FAIL() << NameOf(layout.type) << " value " << i << ": " << got[i];
  }
}

class LayoutTest : public ::testing::TestWithParam<Layout> {};

// Every byte of the block takes every value among random others, with finite scales.
TEST_P(LayoutTest, EveryByteValueDecodes) {
  const Layout& layout = GetParam();
  std::mt19937 random(2);
  Block block(TraitsOf(layout.type).block_bytes);
  for (size_t at = 0; at < block.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      for (uint8_t& b : block) b = static_cast<uint8_t>(random());
      block[at] = static_cast<uint8_t>(value);
      for (size_t scale : testing::ScaleOffsets(layout.type)) block[scale + 1] &= 0xBF;
      ExpectDecodes(layout, block);
    }
  }
}

// All 65536 scales: denormals, infinities and NaNs come through.
TEST_P(LayoutTest, EveryScaleDecodes) {
  const Layout& layout = GetParam();
  std::mt19937 random(3);
  const size_t n = TraitsOf(layout.type).block_elems;
  Block block(TraitsOf(layout.type).block_bytes);
  for (uint8_t& b : block) b = static_cast<uint8_t>(random());
  std::vector<float> got(n);
  for (int half = 0; half < 65536; half += 7) {
    for (size_t scale : testing::ScaleOffsets(layout.type)) {
      block[scale] = static_cast<uint8_t>(half);
      block[scale + 1] = static_cast<uint8_t>(half >> 8);
    }
    ASSERT_TRUE(DequantizeRow(layout.type, reinterpret_cast<const std::byte*>(block.data()),
                              static_cast<int64_t>(n), got.data()));
    for (size_t i = 0; i < n; ++i) {
      const double want = layout.want(block, i);
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(got[i])) << half << ' ' << i;
      } else {
        ASSERT_EQ(got[i], static_cast<float>(want)) << half << ' ' << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LayoutTest, ::testing::ValuesIn(kLayouts),
                         [](const auto& test) { return std::string(NameOf(test.param.type)); });

TEST(Codec, DecodesFloatTypes) {
  const float f32[] = {1.5F, -0.0F, 3e38F};
  const uint16_t f16[] = {0x3C00, 0xC000, 0x0001};
  const uint16_t bf16[] = {0x3F80, 0xC000, 0x4049};
  float out[3];
  ASSERT_TRUE(DequantizeRow(DType::kF32, reinterpret_cast<const std::byte*>(f32), 3, out));
  EXPECT_EQ(std::vector<float>(out, out + 3), (std::vector<float>{1.5F, -0.0F, 3e38F}));
  ASSERT_TRUE(DequantizeRow(DType::kF16, reinterpret_cast<const std::byte*>(f16), 3, out));
  EXPECT_EQ(std::vector<float>(out, out + 3), (std::vector<float>{1.0F, -2.0F, 0x1p-24F}));
  ASSERT_TRUE(DequantizeRow(DType::kBF16, reinterpret_cast<const std::byte*>(bf16), 3, out));
  EXPECT_EQ(std::vector<float>(out, out + 3), (std::vector<float>{1.0F, -2.0F, 3.140625F}));
}

TEST(Codec, ReadsRowsAtAnyAlignmentAndNoFurther) {
  std::mt19937 random(4);
  for (DType type : testing::kMatmulTypes) {
    const int64_t n = 3 * TraitsOf(type).block_elems;
    const std::vector<std::byte> row = testing::RandomWeights(type, 1, n, random);
    std::vector<float> want(static_cast<size_t>(n));
    ASSERT_TRUE(DequantizeRow(type, row.data(), n, want.data()));
    for (testing::Guard guard : {testing::Guard::kAfter, testing::Guard::kBefore}) {
      testing::Guarded<std::byte> guarded(row, guard);
      testing::Guarded<float> got(static_cast<size_t>(n), guard);
      ASSERT_TRUE(DequantizeRow(type, guarded.data(), n, got.data()));
      EXPECT_EQ(testing::Bits(got.span()), testing::Bits(want));
    }
    std::vector<std::byte> shifted(row.size() + 1);
    std::memcpy(shifted.data() + 1, row.data(), row.size());
    std::vector<float> got(static_cast<size_t>(n));
    ASSERT_TRUE(DequantizeRow(type, shifted.data() + 1, n, got.data()));
    EXPECT_EQ(testing::Bits(got), testing::Bits(want));
  }
}

TEST(Codec, RefusesWhatItDoesNotKnow) {
  std::byte row[512] = {};
  float out[512];
  EXPECT_FALSE(HasCodec(DType::kIQ2_XXS));
  EXPECT_TRUE(HasCodec(DType::kQ6_K));
  EXPECT_EQ(DequantizeRow(DType::kIQ2_XXS, row, 256, out).error().message,
            "values of type IQ2_XXS cannot be decoded");
  EXPECT_EQ(DequantizeRow(DType::kIQ2_XXS, row, 256, out).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(DequantizeRow(DType::kQ4_K, row, 255, out).error().message,
            "row length 255 is not a multiple of the Q4_K block of 256");
  EXPECT_EQ(DequantizeRow(DType::kQ4_0, row, -32, out).error().code, ErrorCode::kBadData);
  EXPECT_TRUE(DequantizeRow(DType::kQ4_0, row, 0, out));
}

}  // namespace
}  // namespace llmrun
