#include "compute/kernels/flush_denormals.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "compute/kernels.h"
#include "tests/compute/compute_testing.h"

namespace llmrun {
namespace {

using testing::Activations;
using testing::Bits;

float Half(float x) {
  volatile float half = 0.5F;
  return x * half;
}

TEST(FlushDenormals, ForAsLongAsItLives) {
  constexpr float kSmallest = std::numeric_limits<float>::min();
  EXPECT_GT(Half(kSmallest), 0.0F);
  {
    const FlushDenormals flush;
    EXPECT_EQ(Half(kSmallest), 0.0F) << "results";
    volatile float denormal = std::numeric_limits<float>::denorm_min();
    EXPECT_EQ(denormal * 1e30F, 0.0F) << "operands";
    { const FlushDenormals again; }
    EXPECT_EQ(Half(kSmallest), 0.0F);
  }
  EXPECT_GT(Half(kSmallest), 0.0F);
}

// Products, norms and sums of numbers about the smallest normal float.
TEST(FlushDenormals, GivesTheSameBitsOnEveryLevel) {
  const FlushDenormals flush;
  constexpr int64_t kCols = 512;
  constexpr int64_t kRows = 17;
  constexpr int64_t kTokens = 3;
  for (DType type : testing::kMatmulTypes) {
    std::mt19937 random(8);
    const auto weights = testing::RandomWeights(type, kRows, kCols, random);
    const auto x = testing::RandomFloats(kTokens * kCols, random, 3e-37F);
    std::vector<uint32_t> expected;
    for (const Kernels* kernels : testing::SupportedKernels()) {
      const Activations a = testing::Quantize(x, kTokens, kCols, *kernels);
      std::vector<float> out(static_cast<size_t>(kRows * kTokens));
      ASSERT_TRUE(kernels->matmul(
          testing::ArgsFor(type, weights.data(), kRows, kCols, a, kTokens, out.data())));
      std::vector<float> weight(kCols, 1.0F);
      std::vector<float> normed(kCols);
      kernels->rms_norm(x.data(), weight.data(), kCols, 1e-5F, normed.data());
      std::vector<uint32_t> bits = Bits(out);
      const std::vector<uint32_t> more = Bits(normed);
      bits.insert(bits.end(), more.begin(), more.end());
      if (expected.empty()) expected = bits;
      EXPECT_EQ(bits, expected) << NameOf(type) << ' ' << NameOf(kernels->isa);
    }
  }
}

}  // namespace
}  // namespace llmrun
