// Products that are looked up in tables instead of multiplied. That they have the same bits for all
// ranges of rows stands in packing_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "compute/kernels.h"
#include "compute/packing.h"
#include "tests/compute/compute_testing.h"
#include "tests/compute/matmul_testing.h"

namespace llmrun {
namespace {

using testing::Activations;
using testing::IntegerActivations;

constexpr DType kLookUpTypes[] = {DType::kTQ2_0, DType::kI2_S, DType::kIQ2_BN, DType::kQ2_K};

TEST(TableLookup, KnowsItsTypes) {
  for (const DType type : testing::kMatmulTypes) {
    EXPECT_EQ(CanLookUp(type), std::ranges::count(kLookUpTypes, type) == 1) << NameOf(type);
  }
}

// As generic/table_lookup.h says it: each weight of two columns, each activation; and sums of eight
// values fit into a byte.
TEST(TableLookup, TablesHaveTheSumsOfAllPairs) {
  constexpr int kUnit = 26;
  std::vector<int8_t> q;
  for (int i = -127; i <= 127; ++i) {
    for (int j = -127; j <= 127; ++j) {
      q.push_back(static_cast<int8_t>(i));
      q.push_back(static_cast<int8_t>(j));
    }
  }
  q.resize((q.size() + 31) / 32 * 32);
  const auto cols = static_cast<int64_t>(q.size());
  for (const Kernels* kernels : testing::SupportedKernels()) {
    std::vector<int8_t> tables(static_cast<size_t>(TableBytes(cols)));
    kernels->make_tables(q.data(), cols, tables.data());
    for (size_t piece = 0; piece < q.size() / 16; ++piece) {
      int middles = 0;
      for (size_t pair = 0; pair < 8; ++pair) {
        const int first = q[piece * 16 + 2 * pair];
        const int second = q[piece * 16 + 2 * pair + 1];
        const int8_t* low = &tables[piece * 256 + pair % 2 * 128 + pair / 2 * 16];
        const int8_t* high = low + 64;
        const int middle = -(low[0] + kUnit * high[0]);
        middles += middle;
        for (int place = 0; place < 16; ++place) {
          ASSERT_EQ(low[place] + kUnit * high[place] + middle,
                    place % 4 * first + place / 4 * second)
              << NameOf(kernels->isa) << ' ' << first << ' ' << second;
          ASSERT_LE(8 * std::abs(low[place]), 127);
          ASSERT_LE(8 * std::abs(high[place]), 127);
        }
      }
      int16_t sum = 0;
      std::memcpy(&sum, &tables[q.size() * 16 + 2 * piece], sizeof sum);
      ASSERT_EQ(sum, middles);
    }
  }
}

// Rows of a multiple of 16; scales 1, so that sums are integers.
void ExpectLookedUpExact(DType type, std::vector<std::byte> weights, int64_t rows, int64_t cols,
                         const Activations& a, int64_t tokens) {
  testing::SetBlockScales(type, weights, testing::kHalfOne, static_cast<uint64_t>(cols));
  const std::vector<float> values = testing::Decode(type, weights, rows, cols);
  std::vector<float> truth;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < rows; ++r) {
      truth.push_back(static_cast<float>(testing::Truth(type, values, a, cols, r, t)));
    }
  }
  PackRows(type, cols, weights);
  for (const Kernels* kernels : testing::SupportedKernels()) {
    std::vector<float> out(truth.size());
    for (int64_t t = 0; t < tokens; ++t) {
      const testing::OwnTables tables(*kernels, a, cols, t);
      MatmulArgs args =
          testing::ArgsFor(type, weights.data(), rows, cols, a, 1, out.data() + t * rows);
      args.packed_rows = rows;
      args.xq = {a.q.data() + t * cols, a.scale.data() + t * cols / kQuantBlock,
                 a.sums.data() + t * cols / kSumBlock, tables.data()};
      ASSERT_TRUE(kernels->matmul(args));
    }
    ASSERT_EQ(out, truth) << NameOf(type) << ' ' << NameOf(kernels->isa) << " cols " << cols;
  }
}

// One row for each byte, one token for each third activation.
TEST(TableLookup, EveryByteTimesEveryActivation) {
  constexpr int64_t kCols = 256;
  for (const DType type : kLookUpTypes) {
    const size_t row_bytes = RowBytes(type, kCols);
    std::vector<std::byte> weights(256 * row_bytes);
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = static_cast<std::byte>(i / row_bytes);
    }
    const Activations a = IntegerActivations(
        85, kCols, [](int64_t i) { return std::min<int64_t>(i / kCols * 3, 254) - 127; });
    ExpectLookedUpExact(type, weights, 256, kCols, a, 85);
  }
}

// The sums that overflow careless bytes.
TEST(TableLookup, Extremes) {
  constexpr int64_t kCols = 512;
  constexpr uint8_t kPatterns[6][2] = {{0xFF, 0xFF}, {0, 0},       {0xAA, 0x55},
                                       {0x33, 0xCC}, {0xF0, 0x0F}, {0xC3, 0x3C}};
  for (const DType type : kLookUpTypes) {
    const size_t row_bytes = RowBytes(type, kCols);
    std::vector<std::byte> weights(16 * row_bytes);
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = static_cast<std::byte>(kPatterns[i / row_bytes % 6][i % 2]);
    }
    const Activations a = IntegerActivations(6, kCols, [](int64_t i) {
      constexpr int kValues[6][2] = {{127, 127},  {-127, -127}, {127, -127},
                                     {-127, 127}, {0, 127},     {126, -127}};
      return kValues[i / kCols][i % 2];
    });
    ExpectLookedUpExact(type, weights, 16, kCols, a, 6);
  }
}

TEST(TableLookup, RandomFields) {
  std::mt19937 random(14);
  for (const DType type : kLookUpTypes) {
    for (const int64_t cols : {256, 768, 4096 + 512}) {
      const Activations a = IntegerActivations(
          2, cols, [&](int64_t) { return static_cast<int>(random() % 255) - 127; });
      const auto weights = testing::RandomWeights(type, 32, cols, random);
      ExpectLookedUpExact(type, weights, 32, cols, a, 2);
    }
  }
}

}  // namespace
}  // namespace llmrun
