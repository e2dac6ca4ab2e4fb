// Encoders: what they write decodes to the values again, as near as the type allows; nearer than
// plain rounding, nearer where it is important; and what cannot be encoded is refused.
#include "compute/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "compute/codec.h"
#include "tests/compute/compute_testing.h"

namespace llmrun {
namespace {

using testing::RandomFloats;

constexpr int64_t kRow = 512;

std::vector<std::byte> EncodedBytes(DType type, const std::vector<float>& row,
                                    const float* importance = nullptr, float tensor_scale = 1) {
  std::vector<std::byte> bytes(RowBytes(type, row.size()));
  const Status status = QuantizeRow(type, row.data(), static_cast<int64_t>(row.size()), importance,
                                    bytes.data(), tensor_scale);
  EXPECT_TRUE(status) << NameOf(type) << status.error().OneLine();
  return bytes;
}

std::vector<float> DecodedValues(DType type, const std::vector<std::byte>& bytes, size_t n,
                                 float tensor_scale = 1) {
  std::vector<float> row(n);
  const float of_tensor = type == DType::kI2_S ? tensor_scale : 1;
  EXPECT_TRUE(DequantizeRow(type, bytes.data(), static_cast<int64_t>(n), row.data(), of_tensor));
  return row;
}

double SquareError(const std::vector<float>& a, const std::vector<float>& b,
                   const std::vector<float>& weights) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += weights[i] * std::pow(a[i] - b[i], 2.0);
  return sum;
}

struct Expected {
  DType type;
  double error;  // root mean square, of normal values with deviation 1: at most
};
constexpr Expected kExpected[] = {
    {DType::kF32, 0},     {DType::kF16, 4e-4},     {DType::kBF16, 3e-3},    {DType::kQ8_0, 0.006},
    {DType::kQ4_0, 0.1},  {DType::kQ4_1, 0.11},    {DType::kQ5_0, 0.06},    {DType::kQ5_1, 0.06},
    {DType::kQ2_K, 0.31}, {DType::kQ3_K, 0.16},    {DType::kQ4_K, 0.08},    {DType::kQ5_K, 0.04},
    {DType::kQ6_K, 0.02}, {DType::kIQ4_NL, 0.085}, {DType::kIQ4_XS, 0.085}, {DType::kMXFP4, 0.13},
    {DType::kTQ1_0, 0.5}, {DType::kTQ2_0, 0.5},    {DType::kIQ2_BN, 0.5},   {DType::kI2_S, 0.5},
};

TEST(Quantize, ErrorsAreThoseOfTheirBits) {
  std::mt19937 random(1);
  const std::vector<float> row = RandomFloats(kRow, random);
  const std::vector<float> ones(row.size(), 1.0F);
  const float scale = 1.2F;  // of ternary values of a normal distribution
  for (const Expected& expected : kExpected) {
    const DType type = expected.type;
    ASSERT_TRUE(HasEncoder(type));
    const auto decoded =
        DecodedValues(type, EncodedBytes(type, row, nullptr, scale), row.size(), scale);
    const double error = std::sqrt(SquareError(row, decoded, ones) / kRow);
    EXPECT_LE(error, expected.error) << NameOf(type);
  }
  for (const BlockTraits& traits : AllBlockTraits()) {
    EXPECT_EQ(HasEncoder(traits.type), HasCodec(traits.type)) << traits.name;
  }
}

// Rows of several kinds, from whole numbers alone: the same with every library.
std::vector<float> RowsOfAllKinds() {
  std::vector<float> rows(8 * kRow);
  uint32_t state = 1;
  for (size_t i = 0; i < rows.size(); ++i) {
    state = state * 1664525 + 1013904223;
    rows[i] = static_cast<float>(static_cast<int32_t>(state) >> 12) / 1048576.0F;
    if (i % 37 == 0) rows[i] *= 8;
  }
  for (size_t i = kRow; i < 2 * kRow; ++i) rows[i] = std::fabs(rows[i]);
  for (size_t i = 2 * kRow; i < 3 * kRow; ++i) rows[i] *= 1e-4F;
  for (size_t i = 3 * kRow; i < 3 * kRow + 256; ++i) rows[i] = 0;
  for (size_t i = 4 * kRow; i < 4 * kRow + 256; ++i) rows[i] = 0.25F;
  for (size_t i = 5 * kRow; i < 5 * kRow + 256; ++i) rows[i] *= 1e-21F;
  for (size_t i = 6 * kRow; i < 6 * kRow + 256; ++i) rows[i] *= 4096;
  return rows;
}

// FNV-1a of what a type makes of these rows, without and with importance.
struct KnownBytes {
  DType type;
  uint64_t plain;
  uint64_t important;
};
constexpr KnownBytes kKnownBytes[] = {
    {DType::kQ2_K, 0x94dab23921e7176, 0x93bc906d38efd3bc},
    {DType::kQ3_K, 0xb6ce4f9eb548f843, 0x1a3bd59947c48afd},
    {DType::kQ4_K, 0xe2b74f43ee053221, 0xb876be03270e063b},
    {DType::kQ5_K, 0x97ddb2c21fe29456, 0x5cdeb9841ceb31f0},
    {DType::kQ6_K, 0xee9408f351e533c1, 0xd8a9b3b9f66bd28a},
    {DType::kIQ4_NL, 0xca46e0a099a86d62, 0x3a54de388a8f3ae3},
    {DType::kIQ4_XS, 0x31c4d29d9bdb4cec, 0xa162179d0b80913c},
    {DType::kMXFP4, 0x4f0cb23d7c01c767, 0xe5cf2c4805a9eb38},
    {DType::kQ4_0, 0x9ee32d8afedd15ef, 0x972c0ab55e5fd09a},
    {DType::kQ4_1, 0x33abb217a93b848e, 0x15c9a0537388689b},
    {DType::kQ5_0, 0x1cb9a80303ee7177, 0x6fe205ddeb662b0c},
    {DType::kQ5_1, 0x68d83135ea3bc67a, 0xe2cc72dfd7f65c5b},
    {DType::kTQ1_0, 0xaa0426c14df303f9, 0x7edecdad125aee64},
    {DType::kTQ2_0, 0x13e1e9ffb9e7d2c9, 0x283a5f8833e142b3},
};

TEST(Quantize, BytesAreThoseOfEveryMachine) {
  const std::vector<float> rows = RowsOfAllKinds();
  std::vector<float> importance(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) importance[i] = static_cast<float>(i * 7 % 31) / 8;
  for (size_t i = 0; i < 64; ++i) importance[i] = 0;
  const auto hash = [&](DType type, const float* weights) {
    uint64_t value = 14695981039346656037U;
    for (const std::byte byte : EncodedBytes(type, rows, weights)) {
      value = (value ^ static_cast<uint8_t>(byte)) * 1099511628211U;
    }
    return value;
  };
  for (const auto& [type, plain, important] : kKnownBytes) {
    EXPECT_EQ(fmt::format("{:#x}", hash(type, nullptr)), fmt::format("{:#x}", plain))
        << NameOf(type);
    EXPECT_EQ(fmt::format("{:#x}", hash(type, importance.data())), fmt::format("{:#x}", important))
        << NameOf(type);
  }
}

// A row of what blocks stand for comes out as the same values, or much nearer than another row.
TEST(Quantize, WhatWasDecodedIsFoundAgain) {
  std::mt19937 random(2);
  for (const Expected& expected : kExpected) {
    const DType type = expected.type;
    std::vector<float> row = RandomFloats(kRow, random);
    row = DecodedValues(type, EncodedBytes(type, row, nullptr, 1.2F), row.size(), 1.2F);
    const auto again =
        DecodedValues(type, EncodedBytes(type, row, nullptr, 1.2F), row.size(), 1.2F);
    const std::vector<float> ones(row.size(), 1.0F);
    const double error = std::sqrt(SquareError(row, again, ones) / kRow);
    EXPECT_LE(error, 0.5 * expected.error) << NameOf(type);
  }
}

TEST(Quantize, ZerosAreZeros) {
  const std::vector<float> zeros(kRow, 0.0F);
  for (const Expected& expected : kExpected) {
    const auto decoded =
        DecodedValues(expected.type, EncodedBytes(expected.type, zeros), zeros.size());
    for (const float value : decoded) ASSERT_EQ(value, 0.0F) << NameOf(expected.type);
  }
}

// Values of all magnitudes, a single one among zeros, all the same: nothing is lost by it.
TEST(Quantize, OddRowsStayNear) {
  for (const float magnitude : {1e-38F, 1e-9F, 1e-3F, 1.0F, 1e3F, 6e4F}) {
    for (const float sign : {1.0F, -1.0F}) {
      std::vector<float> same(kRow, sign * magnitude);
      std::vector<float> single(kRow, 0.0F);
      single[37] = sign * magnitude;
      for (const Expected& expected : kExpected) {
        for (const std::vector<float>& row : {same, single}) {
          const auto decoded =
              DecodedValues(expected.type, EncodedBytes(expected.type, row, nullptr, magnitude),
                            row.size(), magnitude);
          // Scales are half-precision: below 2^-24 there is nothing.
          const double most = std::max(0.51 * magnitude, 1e-6);
          for (size_t i = 0; i < row.size(); ++i) {
            ASSERT_NEAR(decoded[i], row[i], most) << NameOf(expected.type) << ' ' << i;
          }
        }
      }
    }
  }
}

TEST(Quantize, ImportantColumnsAreKeptBetter) {
  std::mt19937 random(3);
  const std::vector<float> row = RandomFloats(kRow, random);
  std::vector<float> importance(row.size());
  for (size_t i = 0; i < row.size(); ++i) importance[i] = i % 5 == 0 ? 100.0F : 0.5F;
  for (const DType type :
       {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ2_K, DType::kQ3_K,
        DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4}) {
    const auto plain = DecodedValues(type, EncodedBytes(type, row), row.size());
    const auto weighted =
        DecodedValues(type, EncodedBytes(type, row, importance.data()), row.size());
    EXPECT_LE(SquareError(row, weighted, importance), SquareError(row, plain, importance))
        << NameOf(type);
  }
  // Columns that nothing came through weigh alike.
  const std::vector<float> none(row.size(), 0.0F);
  const std::vector<float> ones(row.size(), 1.0F);
  EXPECT_EQ(EncodedBytes(DType::kQ4_K, row, none.data()), EncodedBytes(DType::kQ4_K, row));
}

TEST(Quantize, TernaryValuesComeOutExactly) {
  std::mt19937 random(4);
  for (const DType type : {DType::kTQ1_0, DType::kTQ2_0, DType::kIQ2_BN, DType::kI2_S}) {
    const float scale = 0.01171875F;
    std::vector<float> row(kRow);
    for (float& value : row) value = scale * static_cast<float>(static_cast<int>(random() % 3) - 1);
    TernaryMean mean;
    mean.Add(row.data(), kRow);
    EXPECT_EQ(mean.Mean(), scale);
    EXPECT_EQ(DecodedValues(type, EncodedBytes(type, row, nullptr, scale), row.size(), scale), row)
        << NameOf(type);
  }
}

TEST(Quantize, RefusesWhatCannotBe) {
  std::vector<std::byte> out(RowBytes(DType::kF32, kRow));
  std::vector<float> row(kRow, 1.0F);
  const auto code = [&](DType type, int64_t n) {
    const Status status = QuantizeRow(type, row.data(), n, nullptr, out.data());
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(code(DType::kQ4_K, 255), "row length 255 is not a multiple of the Q4_K block of 256");
  EXPECT_EQ(code(DType::kIQ1_S, kRow), "values cannot be encoded as IQ1_S");
  row[7] = 70000;
  EXPECT_EQ(code(DType::kF16, kRow), "value 7 is 70000, too large for F16");
  EXPECT_EQ(code(DType::kBF16, kRow), "");
  row[7] = std::nanf("");
  EXPECT_EQ(code(DType::kQ8_0, kRow), "value 7 is nan, and cannot be quantized");
  row[7] = INFINITY;
  EXPECT_EQ(code(DType::kF32, kRow), "value 7 is inf, and cannot be quantized");
}

}  // namespace
}  // namespace llmrun
