#include "compute/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "compute/kernels/portable/fma.h"

namespace llmrun {
namespace {

// The definition of binary16, in double.
double HalfValue(uint16_t half) {
  const double sign = half & 0x8000 ? -1.0 : 1.0;
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Half, EveryValueConvertsExactly) {
  for (int i = 0; i < 65536; ++i) {
    const auto half = static_cast<uint16_t>(i);
    const double want = HalfValue(half);
    const float got = HalfToFloat(half);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << i;
      ASSERT_EQ(FloatToHalf(got), half | 0x200) << i;
    } else {
      ASSERT_EQ(static_cast<double>(got), want) << i;
      ASSERT_EQ(std::signbit(got), std::signbit(want)) << i;
      ASSERT_EQ(FloatToHalf(got), half) << i;
    }
  }
}

// Between two neighbours the nearer one wins, and the even one in the middle.
TEST(Half, RoundsToNearestEven) {
  for (int i = 0; i < 0x7C00; ++i) {
    const auto low = static_cast<uint16_t>(i);
    const auto high = static_cast<uint16_t>(i + 1);
    const double below = HalfValue(low);
    const double above = high == 0x7C00 ? 65536.0 : HalfValue(high);
    const auto middle = static_cast<float>((below + above) / 2);
    ASSERT_EQ(FloatToHalf(middle), i % 2 == 0 ? low : high) << i;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, 0.0F)), low) << i;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, INFINITY)), high) << i;
    ASSERT_EQ(FloatToHalf(-middle), 0x8000 | (i % 2 == 0 ? low : high)) << i;
  }
  EXPECT_EQ(FloatToHalf(INFINITY), 0x7C00);
  EXPECT_EQ(FloatToHalf(1e30F), 0x7C00);
  EXPECT_EQ(FloatToHalf(1e-30F), 0);
  EXPECT_EQ(FloatToHalf(-1e-45F), 0x8000);
}

TEST(Bfloat16, IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(Bfloat16ToFloat(0x3F80), 1.0F);
  EXPECT_EQ(Bfloat16ToFloat(0xC0A0), -5.0F);
  EXPECT_EQ(Bfloat16ToFloat(0x0001), 0x1p-133F);
  EXPECT_TRUE(std::isinf(Bfloat16ToFloat(0x7F80)));
  EXPECT_TRUE(std::isnan(Bfloat16ToFloat(0x7FC1)));
}

void ExpectFma(float a, float b, float c) {
  const float want = std::fma(a, b, c);
  const float got = portable::FusedMultiplyAdd(a, b, c);
  if (std::isnan(want)) {
    ASSERT_TRUE(std::isnan(got)) << a << ' ' << b << ' ' << c;
  } else {
    ASSERT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(want))
        << a << ' ' << b << ' ' << c;
  }
}

// The C library's fma is correctly rounded.
TEST(FusedMultiplyAdd, EqualsTheCLibrary) {
  std::mt19937 random(1);
  const auto any = [&] { return std::bit_cast<float>(static_cast<uint32_t>(random())); };
  for (int i = 0; i < 200'000; ++i) ExpectFma(any(), any(), any());
  // The addend close to minus the product: cancellation, and ties that a second rounding would
  // break.
  std::uniform_real_distribution<float> uniform(-2, 2);
  for (int i = 0; i < 200'000; ++i) {
    const float a = uniform(random);
    const float b = uniform(random);
    const int scale = static_cast<int>(random() % 60) - 30;
    ExpectFma(a, b, -a * b);
    ExpectFma(a, b, std::ldexp(uniform(random), scale));
    ExpectFma(a, 0x1p-24F, b);
    ExpectFma(std::ldexp(a, -80), std::ldexp(b, -60), std::ldexp(uniform(random), -140));
  }
  // Exactly half a unit in the last place, and a little more or less.
  ExpectFma(0x1.000002p0F, 0x1.000002p0F, 0x1p-60F);
  ExpectFma(0x1.000001p0F, 0x1p-24F, 1.0F);
  ExpectFma(0x1.fffffep127F, 2.0F, -0x1.fffffep127F);
  ExpectFma(-0.0F, 1.0F, -0.0F);
  ExpectFma(0.0F, -1.0F, 0.0F);
}

}  // namespace
}  // namespace llmrun
