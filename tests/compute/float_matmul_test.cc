#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "compute/half.h"
#include "compute/kernels.h"
#include "compute/kernels/flush_denormals.h"
#include "tests/compute/compute_testing.h"
#include "tests/compute/matmul_testing.h"

namespace llmrun {
namespace {

using testing::Activations;
using testing::ArgsFor;
using testing::Bits;

constexpr DType kFloatTypes[] = {DType::kF32, DType::kF16, DType::kBF16};

// More rows than a strip, rows longer than a section, every size of tile, a part of a step left.
TEST(FloatMatmul, SameBitsInStripsAndSectionsOnEveryLevel) {
  std::mt19937 random(21);
  constexpr int64_t kRows = 131;
  constexpr int64_t kCols = 2 * 2048 + 37;
  constexpr int64_t kTokens = 13;
  for (DType type : kFloatTypes) {
    const auto weights = testing::RandomWeights(type, kRows, kCols, random);
    Activations a;
    a.x = testing::RandomFloats(kTokens * kCols, random);
    std::vector<float> want(kRows * kTokens);
    ASSERT_TRUE(KernelsFor(IsaLevel::kPortable)
                    .matmul(ArgsFor(type, weights.data(), kRows, kCols, a, kTokens, want.data())));
    const auto values = testing::Decode(type, weights, kRows, kCols);
    for (int64_t r = 0; r < kRows; r += 26) {
      const double truth = testing::Truth(type, values, a, kCols, r, 12);
      EXPECT_NEAR(want[static_cast<size_t>(12 * kRows + r)], truth, 1e-3) << NameOf(type);
    }
    for (const Kernels* kernels : testing::SupportedKernels()) {
      for (int64_t tokens = 1; tokens <= kTokens; ++tokens) {
        std::vector<float> out(static_cast<size_t>(kRows * tokens), NAN);
        ASSERT_TRUE(
            kernels->matmul(ArgsFor(type, weights.data(), kRows, kCols, a, tokens, out.data())));
        ASSERT_EQ(Bits(out), Bits(std::span(want).first(out.size())))
            << NameOf(type) << ' ' << NameOf(kernels->isa) << " tokens " << tokens;
      }
    }
  }
}

uint16_t AnyBf16(std::mt19937& random, uint32_t exponents, uint32_t least) {
  const uint32_t exponent = least + random() % exponents;
  return static_cast<uint16_t>((random() & 0x807FU) | exponent << 7);
}

// Products and sums around the smallest normal float: what VDPBF16PS does with denormals, the other
// levels do in the mode in which a model is computed.
TEST(FloatMatmul, Bf16DenormalsAreZerosOnEveryLevel) {
  const FlushDenormals flush;
  std::mt19937 random(22);
  constexpr int64_t kRows = 64;
  constexpr int64_t kCols = 64;
  constexpr int64_t kTokens = 3;
  std::vector<uint16_t> weights(kRows * kCols);
  for (uint16_t& w : weights) w = AnyBf16(random, 8, 0);
  Activations a;
  for (int64_t i = 0; i < kTokens * kCols; ++i) {
    a.x.push_back(i % 9 == 0 ? std::bit_cast<float>(static_cast<uint32_t>(random() & 0x807FFFFFU))
                             : Bfloat16ToFloat(AnyBf16(random, 12, 120)));
  }
  std::vector<float> want;
  for (const Kernels* kernels : testing::SupportedKernels()) {
    std::vector<float> out(kRows * kTokens);
    ASSERT_TRUE(kernels->matmul(ArgsFor(DType::kBF16, std::as_bytes(std::span(weights)).data(),
                                        kRows, kCols, a, kTokens, out.data())));
    if (want.empty()) want = out;
    EXPECT_EQ(Bits(out), Bits(want)) << NameOf(kernels->isa);
  }
}

TEST(FloatMatmul, RoundsActivationsToBf16BesideItsWeights) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Ties go to even, the largest float rounds to infinity.
  const std::pair<float, float> cases[] = {{1.0F, 1.0F},
                                           {1.0F + 0x1p-8F, 1.0F},
                                           {1.0F + 0x3p-8F, 1.0F + 0x1p-6F},
                                           {-1.0F - 0x1.8p-8F, -1.0F - 0x1p-7F},
                                           {0x1.FFFFFEp127F, kInfinity},
                                           {0.0F, 0.0F}};
  const uint16_t one = 0x3F80;
  for (const Kernels* kernels : testing::SupportedKernels()) {
    for (const auto& [x, want] : cases) {
      Activations a;
      a.x = {x};
      float out = NAN;
      ASSERT_TRUE(kernels->matmul(
          ArgsFor(DType::kBF16, std::as_bytes(std::span(&one, 1)).data(), 1, 1, a, 1, &out)));
      EXPECT_EQ(out, want) << NameOf(kernels->isa) << ' ' << x;
    }
    Activations a;
    a.x = {std::bit_cast<float>(0x7FFFFFFFU)};
    float out = 0;
    ASSERT_TRUE(kernels->matmul(
        ArgsFor(DType::kBF16, std::as_bytes(std::span(&one, 1)).data(), 1, 1, a, 1, &out)));
    EXPECT_TRUE(std::isnan(out)) << NameOf(kernels->isa);
  }
}

}  // namespace
}  // namespace llmrun
