#include "compute/codec.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/compute/codec_layouts.h"
#include "tests/compute/compute_testing.h"

namespace llmrun {
namespace {

using testing::Layout;
using Row = std::vector<uint8_t>;

std::vector<float> DecodeRow(DType type, const Row& row, size_t n) {
  std::vector<float> values(n);
  const auto* bytes = reinterpret_cast<const std::byte*>(row.data());
  EXPECT_TRUE(DequantizeRow(type, bytes, static_cast<int64_t>(n), values.data()));
  return values;
}

class LayoutTest : public ::testing::TestWithParam<Layout> {
 protected:
  // Values begin, begin + step and so on of row_ are those of the layout.
  void ExpectDecodes(size_t begin, size_t step, const char* what, int varied) const {
    const std::vector<float> got = DecodeRow(layout_.type, row_, n_);
    for (size_t i = begin; i < n_; i += step) {
      // All products are exact in float; a sum or difference is rounded once.
      const double want = layout_.want(row_, i);
      const bool infinite = std::abs(want) >= 0x1p128;  // no float: the cast would not be defined
      const float rounded = infinite ? std::copysign(INFINITY, want) : static_cast<float>(want);
      if (got[i] == rounded || (std::isnan(got[i]) && std::isnan(want))) continue;
      FAIL() << what << ' ' << varied << ", value " << i << ": " << got[i] << ", not " << want;
    }
  }

  void FillRow(std::mt19937& random) {
    for (uint8_t& b : row_) b = static_cast<uint8_t>(random());
  }

  // The offsets in row_ of its f16 scales.
  std::vector<size_t> HalfScales() const {
    std::vector<size_t> scales;
    const BlockTraits& traits = TraitsOf(layout_.type);
    for (size_t at = traits.row_head_bytes; at < row_.size(); at += traits.block_bytes) {
      for (size_t offset : testing::ScaleOffsets(layout_.type)) scales.push_back(at + offset);
    }
    return scales;
  }

  const Layout layout_ = GetParam();
  const size_t n_ = layout_.blocks * TraitsOf(layout_.type).block_elems;
  Row row_ = Row(RowBytes(layout_.type, n_));
};

// Every byte of the row takes every value among random others, which differ for each byte; f16
// scales are finite.
TEST_P(LayoutTest, EveryByteValueDecodes) {
  std::mt19937 random(2);
  for (size_t at = 0; at < row_.size(); ++at) {
    FillRow(random);
    for (int value = 0; value < 256; ++value) {
      row_[at] = static_cast<uint8_t>(value);
      for (size_t scale : HalfScales()) row_[scale + 1] &= 0xBF;
      ExpectDecodes(0, 1, "byte", static_cast<int>(at));
      if (HasFatalFailure()) return;
    }
  }
}

class HalfScaleTest : public LayoutTest {};

// All 65536 f16 scales: denormals, infinities and NaNs come through. Each with some of the values.
TEST_P(HalfScaleTest, EveryScaleDecodes) {
  const std::vector<size_t> scales = HalfScales();
  std::mt19937 random(3);
  FillRow(random);
  for (int half = 0; half < 65536; ++half) {
    for (size_t scale : scales) {
      row_[scale] = static_cast<uint8_t>(half);
      row_[scale + 1] = static_cast<uint8_t>(half >> 8);
    }
    ExpectDecodes(half % 7, 7, "scale", half);
    if (HasFatalFailure()) return;
  }
}

std::vector<Layout> LayoutsOfHalfScales() {
  std::vector<Layout> layouts;
  for (const Layout& layout : testing::AllLayouts()) {
    if (!testing::ScaleOffsets(layout.type).empty()) layouts.push_back(layout);
  }
  return layouts;
}

std::string LayoutName(const ::testing::TestParamInfo<Layout>& test) {
  return std::string(NameOf(test.param.type));
}

INSTANTIATE_TEST_SUITE_P(Types, LayoutTest, ::testing::ValuesIn(testing::AllLayouts()), LayoutName);
INSTANTIATE_TEST_SUITE_P(Types, HalfScaleTest, ::testing::ValuesIn(LayoutsOfHalfScales()),
                         LayoutName);

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

// Nibbles 1, 2, 7 and 15 stand for 0.5, 1, 6 and -6.
TEST(Codec, ExponentsReachFromDenormalsToInfinity) {
  const auto decode = [](uint8_t exponent) {
    Row block(17);
    block[0] = exponent;
    block[1] = 0x21;
    block[2] = 0xF7;
    const std::vector<float> values = DecodeRow(DType::kMXFP4, block, 32);
    EXPECT_EQ(values[2], 0.0F);
    return std::vector{values[0], values[16], values[1], values[17]};
  };
  EXPECT_EQ(decode(0), (std::vector{0x1p-128F, 0x1p-127F, 0x1.8p-125F, -0x1.8p-125F}));
  EXPECT_EQ(decode(1), (std::vector{0x1p-127F, 0x1p-126F, 0x1.8p-124F, -0x1.8p-124F}));
  EXPECT_EQ(decode(2), (std::vector{0x1p-126F, 0x1p-125F, 0x1.8p-123F, -0x1.8p-123F}));
  EXPECT_EQ(decode(127), (std::vector{0.5F, 1.0F, 6.0F, -6.0F}));
  EXPECT_EQ(decode(252), (std::vector{0x1p124F, 0x1p125F, 0x1.8p127F, -0x1.8p127F}));
  EXPECT_EQ(decode(253), (std::vector{0x1p125F, 0x1p126F, INFINITY, -INFINITY}));
  EXPECT_EQ(decode(255), (std::vector{0x1p127F, INFINITY, INFINITY, -INFINITY}));
}

// Quants 0, 1, 2 and 3 in each of two blocks.
TEST(Codec, RowScaleIsThatOfAllBlocks) {
  const auto decode = [](float scale) {
    Row row(4 + 2 * 16);
    std::memcpy(row.data(), &scale, sizeof scale);
    row[4] = 0xE4;
    row[20] = 0xE4;
    const std::vector<float> values = DecodeRow(DType::kIQ2_BN, row, 128);
    for (size_t i : {0, 16, 32, 48}) {
      EXPECT_EQ(std::bit_cast<uint32_t>(values[i + 64]), std::bit_cast<uint32_t>(values[i]));
    }
    return std::vector{values[0], values[16], values[32], values[48]};
  };
  EXPECT_EQ(decode(0.3F), (std::vector{-0.3F, 0.0F, 0.3F, 0.6F}));
  EXPECT_EQ(decode(-2.0F), (std::vector{2.0F, 0.0F, -2.0F, -4.0F}));
  EXPECT_EQ(decode(0x1p-149F), (std::vector{-0x1p-149F, 0.0F, 0x1p-149F, 0x1p-148F}));
  EXPECT_EQ(decode(0x1p127F), (std::vector{-0x1p127F, 0.0F, 0x1p127F, INFINITY}));
  EXPECT_EQ(decode(INFINITY)[0], -INFINITY);
  for (const float value : decode(NAN)) EXPECT_TRUE(std::isnan(value));
}

TEST(Codec, ReadsRowsAtAnyAlignmentAndNoFurther) {
  std::mt19937 random(4);
  for (DType type : testing::kCodecTypes) {
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
