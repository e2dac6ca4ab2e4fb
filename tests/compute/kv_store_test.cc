// Keys and values as a cache holds them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "compute/half.h"
#include "compute/kernels.h"
#include "tests/compute/attention_testing.h"

namespace llmrun {
namespace {

using testing::DecodedRow;
using testing::EncodedRow;
using testing::Guard;
using testing::Guarded;
using testing::RandomFloats;

TEST(StoreValue, RoundsToTheNearestOfItsType) {
  std::mt19937 random(26);
  for (const int64_t n : {1, 15, 16, 36, 64, 100, 256}) {
    std::vector<float> x = RandomFloats(n, random, 1000.0F);
    x[0] = 1e-6F;  // a denormal half
    if (n > 4) x[2] = 1e6F;
    if (n > 4) x[4] = NAN;
    const std::vector<std::byte> floats = EncodedRow(x, DType::kF32);
    EXPECT_EQ(std::memcmp(floats.data(), x.data(), x.size() * 4), 0);
    const std::vector<std::byte> halves = EncodedRow(x, DType::kF16);
    const std::vector<float> brain = DecodedRow(x, DType::kBF16);
    for (size_t i = 0; i < x.size(); ++i) {
      uint16_t half = 0;
      std::memcpy(&half, halves.data() + i * 2, 2);
      EXPECT_EQ(half, FloatToHalf(x[i])) << x[i];
      if (std::isnan(x[i])) {
        EXPECT_TRUE(std::isnan(brain[i]));
      } else {
        const double ulp = std::ldexp(1.0, std::ilogb(x[i]) - 7);
        EXPECT_LE(std::abs(double{brain[i]} - x[i]), ulp / 2) << x[i];
      }
    }
  }
  const std::vector<float> ties = {0x1.01p0F, 0x1.03p0F, -0x1.01p0F, 0x1.FFFFFEp127F};
  const std::vector<float> want = {1.0F, 0x1.04p0F, -1.0F, INFINITY};
  EXPECT_EQ(DecodedRow(ties, DType::kBF16), want);
}

TEST(StoreValue, QuantizesWithinHalfAStep) {
  std::mt19937 random(28);
  const std::vector<float> x = RandomFloats(256, random, 3.0F);
  const std::vector<float> eight = DecodedRow(x, DType::kQ8_0);
  const std::vector<float> four = DecodedRow(x, DType::kQ4_0);
  for (size_t i = 0; i < x.size(); ++i) {
    const auto block = std::span(x).subspan(i / 32 * 32, 32);
    const float most = *std::ranges::max_element(block, {}, [](float v) { return std::abs(v); });
    const float step8 = std::abs(most) / 127;
    const float step4 = std::abs(most) / 8;
    EXPECT_LE(std::abs(eight[i] - x[i]), step8 * 0.501F + std::abs(x[i]) * 0x1p-10F) << i;
    // The grid of Q4_0 has 8 steps towards the greatest value, and 7 away from it.
    const bool clipped = x[i] / most < -7.5F / 8;
    EXPECT_LE(std::abs(four[i] - x[i]),
              step4 * (clipped ? 1.0F : 0.501F) + std::abs(x[i]) * 0x1p-10F)
        << i;
    if (x[i] == most) {
      EXPECT_NEAR(four[i], most, std::abs(most) * 0x1p-10F);
    }
  }
}

TEST(StoreValue, BlocksOfZerosAndOfWhatIsNoNumber) {
  for (const DType type : {DType::kQ8_0, DType::kQ4_0}) {
    std::vector<float> x(64, 1.0F);
    std::fill_n(x.begin(), 32, 0.0F);
    EXPECT_EQ(DecodedRow(x, type)[7], 0.0F);
    std::fill_n(x.begin(), 32, std::numeric_limits<float>::denorm_min());
    EXPECT_EQ(DecodedRow(x, type)[7], 0.0F);
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      x[5] = bad;
      const std::vector<float> decoded = DecodedRow(x, type);
      for (size_t i = 0; i < 32; ++i) EXPECT_TRUE(std::isnan(decoded[i])) << NameOf(type);
      EXPECT_NEAR(decoded[40], 1.0F, 0x1p-10F) << NameOf(type);  // the neighbour block
    }
  }
}

TEST(StoreValue, IsTheSameOnEveryLevel) {
  std::mt19937 random(29);
  for (const DType type : testing::kKvTypes) {
    const std::vector<float> x = RandomFloats(128, random, 100.0F);
    for (const Kernels* kernels : testing::SupportedKernels()) {
      Guarded<std::byte> row(KvRowBytes(type, 128));
      Guarded<float> guarded(x, Guard::kAfter);
      kernels->store_value(guarded.data(), 128, type, row.data(), 0);
      const std::vector<std::byte> want = EncodedRow(x, type);
      EXPECT_TRUE(std::ranges::equal(row.span(), want)) << NameOf(type) << NameOf(kernels->isa);
    }
  }
}

// A key as a value would be stored, gathered from its group.
std::vector<std::byte> GatheredKey(const std::byte* keys, DType type, int64_t head_dim,
                                   size_t position) {
  const BlockTraits& traits = TraitsOf(type);
  const size_t row_bytes = KvRowBytes(type, head_dim);
  const std::byte* group = keys + position / 16 * 16 * row_bytes;
  const size_t lane = position % 16;
  std::vector<std::byte> row(row_bytes);
  for (size_t at = 0; at < row_bytes; at += traits.block_bytes) {
    const std::byte* block = group + at * 16;
    const size_t head = traits.block_elems == 1 ? traits.block_bytes : 2;  // one element, or scale
    std::memcpy(row.data() + at, block + lane * head, head);
    for (size_t i = head; i < traits.block_bytes; ++i) row[at + i] = block[i * 16 + lane];
  }
  return row;
}

TEST(StoreKey, PutsPositionsSideBySide) {
  std::mt19937 random(30);
  for (const DType type : testing::kKvTypes) {
    for (const int64_t head_dim : {32, 64, 128}) {
      for (const Kernels* kernels : testing::SupportedKernels()) {
        constexpr size_t kPositions = 48;
        const size_t row_bytes = KvRowBytes(type, head_dim);
        Guarded<std::byte> keys(kPositions * row_bytes);
        std::vector<size_t> order(kPositions);
        std::iota(order.begin(), order.end(), size_t{0});
        std::ranges::shuffle(order, random);
        std::vector<std::vector<std::byte>> want(kPositions);
        for (const size_t p : order) {
          const std::vector<float> x = RandomFloats(head_dim, random);
          kernels->store_key(x.data(), head_dim, type, keys.data(), static_cast<int64_t>(p));
          want[p] = EncodedRow(x, type);
        }
        for (size_t p = 0; p < kPositions; ++p) {
          EXPECT_EQ(GatheredKey(keys.data(), type, head_dim, p), want[p])
              << NameOf(type) << ' ' << NameOf(kernels->isa) << ' ' << p;
        }
      }
    }
  }
}

}  // namespace
}  // namespace llmrun
