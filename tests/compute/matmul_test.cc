#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "compute/kernels.h"
#include "tests/compute/compute_testing.h"
#include "tests/compute/matmul_testing.h"

namespace llmrun {
namespace {

using testing::Activations;
using testing::ArgsFor;
using testing::Bits;
using testing::Decode;
using testing::Guard;
using testing::Guarded;
using testing::IntegerActivations;
using testing::Truth;

void ExpectExact(DType type, std::vector<std::byte> weights, int64_t rows, int64_t cols,
                 const Activations& a, int64_t tokens) {
  testing::SetBlockScales(type, weights, testing::kHalfOne, static_cast<uint64_t>(cols));
  const std::vector<float> values = Decode(type, weights, rows, cols);
  for (const Kernels* kernels : testing::SupportedKernels()) {
    std::vector<float> out(static_cast<size_t>(rows * tokens));
    ASSERT_TRUE(kernels->matmul(ArgsFor(type, weights.data(), rows, cols, a, tokens, out.data())));
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t r = 0; r < rows; ++r) {
        ASSERT_EQ(out[static_cast<size_t>(t * rows + r)],
                  static_cast<float>(Truth(type, values, a, cols, r, t)))
            << NameOf(type) << ' ' << NameOf(kernels->isa) << " row " << r << " token " << t
            << " cols " << cols;
      }
    }
  }
}

// One row for each byte value of the quants, one token for each activation value.
TEST(MatmulExact, EveryByteTimesEveryActivation) {
  for (DType type : testing::kQuantTypes) {
    const int64_t cols = MatmulColumns(type);
    const size_t row_bytes = RowBytes(type, static_cast<uint64_t>(cols));
    std::vector<std::byte> weights(256 * row_bytes);
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = static_cast<std::byte>(i / row_bytes);
    }
    // With 256 columns only every third activation, to stay quick.
    const int64_t step = cols == 32 ? 1 : 3;
    const int64_t tokens = 254 / step + 1;
    const Activations a = IntegerActivations(
        tokens, cols, [&](int64_t i) { return std::min<int64_t>(i / cols * step, 254) - 127; });
    ExpectExact(type, weights, 256, cols, a, tokens);
  }
}

// The sums that overflow a careless 16-bit accumulator.
TEST(MatmulExact, Extremes) {
  for (DType type : testing::kQuantTypes) {
    constexpr int64_t kCols = 512;
    const size_t row_bytes = RowBytes(type, kCols);
    // Rows of all ones, all zeros, the smallest and the largest signed byte, and alternations.
    std::vector<std::byte> weights(6 * row_bytes);
    constexpr uint8_t kPatterns[6][2] = {{0xFF, 0xFF}, {0, 0},       {0x80, 0x80},
                                         {0x7F, 0x7F}, {0x80, 0x7F}, {0xF0, 0x0F}};
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = static_cast<std::byte>(kPatterns[i / row_bytes][i % 2]);
    }
    const Activations a = IntegerActivations(5, kCols, [](int64_t i) {
      constexpr int kValues[5][2] = {{127, 127}, {-127, -127}, {127, -127}, {-127, 127}, {0, 127}};
      return kValues[i / kCols][i % 2];
    });
    ExpectExact(type, weights, 6, kCols, a, 5);
  }
}

TEST(MatmulExact, AllFieldsRandomAllTails) {
  std::mt19937 random(5);
  for (DType type : testing::kQuantTypes) {
    const bool chunks = MatmulColumns(type) == 256;
    for (int64_t cols : {32, 64, 96, 224, 256, 288, 512, 576, 896}) {
      if (chunks && cols % 256 != 0) continue;
      const Activations a = IntegerActivations(
          7, cols, [&](int64_t) { return static_cast<int>(random() % 255) - 127; });
      for (int64_t rows : {1, 2, 3, 4, 5, 9}) {
        const auto weights = testing::RandomWeights(type, rows, cols, random);
        for (int64_t tokens : {1, 2, 3, 4, 7}) ExpectExact(type, weights, rows, cols, a, tokens);
      }
    }
  }
}

class MatmulTypes : public ::testing::TestWithParam<DType> {
 protected:
  std::vector<int64_t> ColumnCounts() const {
    switch (MatmulColumns(GetParam())) {
      case 1:
        return {1, 15, 16, 17, 37, 64, 100, 512};
      case 32:
        return {32, 96, 256, 576, 1024};
      default:
        return {256, 512, 1024};
    }
  }
};

TEST_P(MatmulTypes, IsCloseToFloat64) {
  std::mt19937 random(6);
  constexpr int64_t kRows = 33;
  constexpr int64_t kTokens = 6;
  for (int64_t cols : ColumnCounts()) {
    const auto weights = testing::RandomWeights(GetParam(), kRows, cols, random);
    const auto values = Decode(GetParam(), weights, kRows, cols);
    const Activations a =
        testing::Quantize(testing::RandomFloats(kTokens * cols, random, 3.0F), kTokens, cols);
    for (const Kernels* kernels : testing::SupportedKernels()) {
      std::vector<float> out(kRows * kTokens);
      ASSERT_TRUE(kernels->matmul(
          ArgsFor(GetParam(), weights.data(), kRows, cols, a, kTokens, out.data())));
      double error = 0;
      double power = 0;
      for (int64_t t = 0; t < kTokens; ++t) {
        for (int64_t r = 0; r < kRows; ++r) {
          const double want = Truth(GetParam(), values, a, cols, r, t);
          error += std::pow(out[static_cast<size_t>(t * kRows + r)] - want, 2);
          power += want * want;
        }
      }
      // Rounding of float32 alone: (2^-24)^2 is 4e-15, times the growth of sums.
      EXPECT_LT(error, 1e-12 * power) << NameOf(kernels->isa) << " cols " << cols;
    }
  }
}

// Prompt processing and decoding see the same numbers, on every instruction set.
TEST_P(MatmulTypes, SameBitsForAnyBatchRangeAndLevel) {
  std::mt19937 random(7);
  constexpr int64_t kRows = 13;
  constexpr int64_t kTokens = 11;
  for (int64_t cols : ColumnCounts()) {
    const auto weights = testing::RandomWeights(GetParam(), kRows, cols, random);
    const Activations a =
        testing::Quantize(testing::RandomFloats(kTokens * cols, random), kTokens, cols);
    std::vector<float> want(kRows * kTokens);
    ASSERT_TRUE(
        KernelsFor(IsaLevel::kPortable)
            .matmul(ArgsFor(GetParam(), weights.data(), kRows, cols, a, kTokens, want.data())));
    for (const Kernels* kernels : testing::SupportedKernels()) {
      for (int64_t batch : {1, 2, 3, 4, 11}) {
        for (int64_t part : {1, 2, 4, 5, 13}) {
          std::vector<float> out(kRows * kTokens, NAN);
          for (int64_t t = 0; t < kTokens; t += batch) {
            for (int64_t r = 0; r < kRows; r += part) {
              MatmulArgs args =
                  ArgsFor(GetParam(), weights.data(), kRows, cols, a, kTokens, out.data());
              args.n_tokens = std::min(batch, kTokens - t);
              args.row_begin = r;
              args.row_end = std::min(r + part, kRows);
              args.x += t * cols;
              args.xq.q += t * cols;
              args.xq.scale += t * cols / kQuantBlock;
              args.xq.sums += t * cols / kSumBlock;
              args.out += t * kRows;
              ASSERT_TRUE(kernels->matmul(args));
            }
          }
          ASSERT_EQ(Bits(out), Bits(want))
              << NameOf(kernels->isa) << " cols " << cols << " batch " << batch << " rows " << part;
        }
      }
    }
  }
}

// More tokens than fit the cache at once go through in groups.
TEST_P(MatmulTypes, LargeBatchesEqualSmallOnes) {
  std::mt19937 random(8);
  constexpr int64_t kCols = 2048;
  constexpr int64_t kTokens = 150;
  const auto weights = testing::RandomWeights(GetParam(), 5, kCols, random);
  const Activations a =
      testing::Quantize(testing::RandomFloats(kTokens * kCols, random), kTokens, kCols);
  const Kernels& kernels = *testing::SupportedKernels().back();
  std::vector<float> all(5 * kTokens);
  ASSERT_TRUE(
      kernels.matmul(ArgsFor(GetParam(), weights.data(), 5, kCols, a, kTokens, all.data())));
  for (int64_t t = 0; t < kTokens; t += 29) {
    std::vector<float> one(5);
    MatmulArgs args = ArgsFor(GetParam(), weights.data(), 5, kCols, a, 1, one.data());
    args.x += t * kCols;
    args.xq.q += t * kCols;
    args.xq.scale += t * kCols / kQuantBlock;
    args.xq.sums += t * kCols / kSumBlock;
    ASSERT_TRUE(kernels.matmul(args));
    EXPECT_EQ(Bits(one), Bits(std::span(all).subspan(static_cast<size_t>(t * 5), 5)));
  }
}

// Longer than what is summed, and than what one token is multiplied with, at a time.
TEST_P(MatmulTypes, LongRowsHaveTheSameBitsToo) {
  std::mt19937 random(13);
  constexpr int64_t kRows = 18;
  constexpr int64_t kTokens = 3;
  for (int64_t cols : {4096 + 256, 16384 + 512}) {
    const auto weights = testing::RandomWeights(GetParam(), kRows, cols, random);
    const auto values = Decode(GetParam(), weights, kRows, cols);
    const Activations a =
        testing::Quantize(testing::RandomFloats(kTokens * cols, random), kTokens, cols);
    std::vector<float> want;
    for (const Kernels* kernels : testing::SupportedKernels()) {
      std::vector<float> all(kRows * kTokens);
      std::vector<float> single(kRows * kTokens);
      MatmulArgs args = ArgsFor(GetParam(), weights.data(), kRows, cols, a, kTokens, all.data());
      ASSERT_TRUE(kernels->matmul(args));
      args.n_tokens = 1;
      for (int64_t t = 0; t < kTokens; ++t) {
        args.x = a.x.data() + t * cols;
        args.xq = {a.q.data() + t * cols, a.scale.data() + t * cols / kQuantBlock,
                   a.sums.data() + t * cols / kSumBlock};
        args.out = single.data() + t * kRows;
        ASSERT_TRUE(kernels->matmul(args));
      }
      if (want.empty()) want = all;
      EXPECT_EQ(Bits(all), Bits(want)) << NameOf(kernels->isa) << " cols " << cols;
      EXPECT_EQ(Bits(single), Bits(want)) << NameOf(kernels->isa) << " cols " << cols;
    }
    double error = 0;
    double power = 0;
    for (int64_t i = 0; i < kRows * kTokens; ++i) {
      const double truth = Truth(GetParam(), values, a, cols, i % kRows, i / kRows);
      error += std::pow(want[static_cast<size_t>(i)] - truth, 2);
      power += truth * truth;
    }
    EXPECT_LT(error, 1e-12 * power) << "cols " << cols;
  }
}

TEST_P(MatmulTypes, TouchesNothingOutsideItsArrays) {
  std::mt19937 random(9);
  constexpr int64_t kRows = 6;
  for (int64_t cols : ColumnCounts()) {
    for (int64_t tokens : {1, 3, 6}) {
      const auto weights = testing::RandomWeights(GetParam(), kRows, cols, random);
      const Activations a =
          testing::Quantize(testing::RandomFloats(tokens * cols, random), tokens, cols);
      for (Guard guard : {Guard::kAfter, Guard::kBefore}) {
        Guarded<std::byte> w(weights, guard);
        Guarded<float> x(a.x, guard);
        Guarded<int8_t> q(a.q, guard);
        Guarded<float> scale(a.scale, guard);
        Guarded<int16_t> sums(a.sums, guard);
        for (const Kernels* kernels : testing::SupportedKernels()) {
          Guarded<float> out(static_cast<size_t>(kRows * tokens), guard);
          MatmulArgs args = ArgsFor(GetParam(), w.data(), kRows, cols, a, tokens, out.data());
          args.x = x.data();
          args.xq = {q.data(), scale.data(), sums.data()};
          ASSERT_TRUE(kernels->matmul(args));
        }
      }
    }
  }
}

TEST_P(MatmulTypes, ReadsRowsFurtherApartAtOddAddresses) {
  std::mt19937 random(10);
  constexpr int64_t kRows = 5;
  const int64_t cols = ColumnCounts().back();
  const size_t row_bytes = RowBytes(GetParam(), static_cast<uint64_t>(cols));
  const auto weights = testing::RandomWeights(GetParam(), kRows, cols, random);
  const Activations a = testing::Quantize(testing::RandomFloats(cols, random), 1, cols);
  const size_t stride = row_bytes + 3;
  std::vector<std::byte> spread(1 + kRows * stride);
  for (size_t r = 0; r < kRows; ++r) {
    std::memcpy(spread.data() + 1 + r * stride, weights.data() + r * row_bytes, row_bytes);
  }
  for (const Kernels* kernels : testing::SupportedKernels()) {
    std::vector<float> want(kRows);
    std::vector<float> out(kRows);
    MatmulArgs args = ArgsFor(GetParam(), weights.data(), kRows, cols, a, 1, want.data());
    ASSERT_TRUE(kernels->matmul(args));
    args.weights = spread.data() + 1;
    args.row_bytes = stride;
    args.out = out.data();
    ASSERT_TRUE(kernels->matmul(args));
    EXPECT_EQ(Bits(out), Bits(want));
  }
}

TEST_P(MatmulTypes, NanAndInfinityStayInTheirToken) {
  std::mt19937 random(11);
  constexpr int64_t kRows = 5;
  constexpr int64_t kTokens = 5;
  const int64_t cols = ColumnCounts().back();
  const auto weights = testing::RandomWeights(GetParam(), kRows, cols, random);
  const std::vector<float> clean = testing::RandomFloats(kTokens * cols, random);
  std::vector<float> dirty = clean;
  dirty[static_cast<size_t>(1 * cols + 5)] = NAN;
  dirty[static_cast<size_t>(3 * cols + cols - 1)] = -INFINITY;
  const Activations want_x = testing::Quantize(clean, kTokens, cols);
  for (const Kernels* kernels : testing::SupportedKernels()) {
    const Activations x = testing::Quantize(dirty, kTokens, cols, *kernels);
    std::vector<float> want(kRows * kTokens);
    std::vector<float> out(kRows * kTokens);
    ASSERT_TRUE(kernels->matmul(
        ArgsFor(GetParam(), weights.data(), kRows, cols, want_x, kTokens, want.data())));
    ASSERT_TRUE(
        kernels->matmul(ArgsFor(GetParam(), weights.data(), kRows, cols, x, kTokens, out.data())));
    for (size_t i = 0; i < out.size(); ++i) {
      if (i / kRows == 1 || i / kRows == 3) {
        EXPECT_FALSE(std::isfinite(out[i])) << NameOf(kernels->isa) << ' ' << i;
      } else {
        EXPECT_EQ(out[i], want[i]) << NameOf(kernels->isa) << ' ' << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, MatmulTypes, ::testing::ValuesIn(testing::kMatmulTypes),
                         [](const auto& test) { return std::string(NameOf(test.param)); });

TEST(Matmul, TensorScaleMultipliesResults) {
  std::mt19937 random(12);
  constexpr int64_t kRows = 21;
  constexpr int64_t kTokens = 3;
  const auto weights = testing::RandomWeights(DType::kI2_S, kRows, 512, random);
  const Activations a =
      testing::Quantize(testing::RandomFloats(kTokens * 512, random), kTokens, 512);
  for (const Kernels* kernels : testing::SupportedKernels()) {
    std::vector<float> plain(kRows * kTokens);
    std::vector<float> scaled(kRows * kTokens);
    MatmulArgs args = ArgsFor(DType::kI2_S, weights.data(), kRows, 512, a, kTokens, plain.data());
    ASSERT_TRUE(kernels->matmul(args));
    args.out = scaled.data();
    args.tensor_scale = 0.3F;
    ASSERT_TRUE(kernels->matmul(args));
    for (float& value : plain) value *= 0.3F;
    EXPECT_EQ(Bits(scaled), Bits(plain));
  }
}

TEST(Matmul, DeclinesWithoutWriting) {
  const std::vector<std::byte> weights(4096);
  const Activations a = testing::Quantize(std::vector<float>(256, 1.0F), 1, 256);
  for (const Kernels* kernels : testing::SupportedKernels()) {
    float out = 42;
    MatmulArgs args = ArgsFor(DType::kIQ2_XXS, weights.data(), 1, 256, a, 1, &out);
    EXPECT_FALSE(kernels->matmul(args));
    for (DType type : testing::kQuantTypes) {
      args.dtype = type;
      args.n_cols = MatmulColumns(type) == 32 ? 48 : 224;
      EXPECT_FALSE(kernels->matmul(args)) << NameOf(type);
    }
    EXPECT_EQ(out, 42);
  }
}

}  // namespace
}  // namespace llmrun
