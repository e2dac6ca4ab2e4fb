#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "compute/kernels.h"
#include "compute/kernels/generic/vector_math.h"
#include "compute/kernels/portable/isa.h"
#include "tests/compute/compute_testing.h"

namespace llmrun {
namespace {

using testing::Bits;
using testing::Guard;
using testing::Guarded;
using testing::RandomFloats;

constexpr int64_t kLengths[] = {1, 7, 15, 16, 17, 64, 100, 2048};

// What run(kernels, values) makes of x in place is, on every level, within tolerance(want) of
// want(i), and the same bits.
void ExpectCloseOnEveryLevel(const std::vector<float>& x, const auto& run, const auto& want,
                             const auto& tolerance) {
  std::vector<float> first;
  for (const Kernels* kernels : testing::SupportedKernels()) {
    Guarded<float> out(x, Guard::kAfter);
    run(*kernels, out.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = want(i);
      EXPECT_NEAR(out.data()[i], expected, tolerance(expected)) << x[i];
    }
    if (first.empty()) first.assign(out.span().begin(), out.span().end());
    EXPECT_EQ(Bits(out.span()), Bits(first)) << NameOf(kernels->isa) << ' ' << x.size();
  }
}

float PortableExp(float x) {
  using portable::Isa;
  return generic::Exp<Isa>(Isa::Set(x)).v[0];
}

TEST(Exp, IsWithinOneAndAHalfUlpOfFloat64) {
  using portable::Isa;
  constexpr int kSteps = 400'000;
  double worst = 0;
  for (int i = 0; i <= kSteps; i += portable::kLanes) {
    Isa::F x = Isa::Set(0);
    for (int lane = 0; lane < portable::kLanes; ++lane) {
      x.v[lane] = -104.0F + static_cast<float>(i + lane) * (192.7F / static_cast<float>(kSteps));
    }
    const Isa::F got = generic::Exp<Isa>(x);
    for (int lane = 0; lane < portable::kLanes; ++lane) {
      const double want = std::exp(static_cast<double>(x.v[lane]));
      const auto rounded = static_cast<float>(want);
      const double ulp =
          static_cast<double>(std::nextafter(rounded, INFINITY)) - static_cast<double>(rounded);
      worst = std::max(worst, std::abs(static_cast<double>(got.v[lane]) - want) / ulp);
    }
  }
  EXPECT_LT(worst, 1.5);
  EXPECT_EQ(PortableExp(0.0F), 1.0F);
  EXPECT_EQ(PortableExp(-1e30F), 0.0F);
  EXPECT_EQ(PortableExp(-INFINITY), 0.0F);
  EXPECT_EQ(PortableExp(88.8F), INFINITY);
  EXPECT_EQ(PortableExp(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(PortableExp(NAN)));
}

TEST(QuantizeRows, IsTheNearestGridPointOnEveryLevel) {
  std::mt19937 random(21);
  constexpr int64_t kTokens = 3;
  constexpr int64_t kCols = 320;
  std::vector<float> x = RandomFloats(kTokens * kCols, random, 5.0F);
  for (size_t i = 0; i < 32; ++i) x[i] = 0.0F;                            // nothing at all
  for (size_t i = 32; i < 64; ++i) x[i] *= 1e30F;                         // huge
  for (size_t i = 64; i < 96; ++i) x[i] = static_cast<float>(i) - 79.5F;  // ties after scaling
  x[64] = 127.0F;
  const testing::Activations want = testing::Quantize(x, kTokens, kCols);
  for (size_t i = 0; i < x.size(); ++i) {
    const double scale = want.scale[i / kQuantBlock];
    const size_t block = i / kQuantBlock * kQuantBlock;
    float amax = 0;
    for (size_t j = block; j < block + kQuantBlock; ++j) amax = std::max(amax, std::abs(x[j]));
    EXPECT_EQ(want.scale[i / kQuantBlock], amax / 127.0F);
    EXPECT_LE(std::abs(x[i] - want.q[i] * scale), scale * 0.50001) << i;
    EXPECT_LE(std::abs(want.q[i]), 127);
  }
  for (size_t i = 65; i < 96; ++i) EXPECT_EQ(want.q[i], std::nearbyint(x[i])) << i;
  for (size_t i = 0; i < want.sums.size(); ++i) {
    int sum = 0;
    for (size_t j = i * kSumBlock; j < (i + 1) * kSumBlock; ++j) sum += want.q[j];
    EXPECT_EQ(want.sums[i], sum);
  }
  for (const Kernels* kernels : testing::SupportedKernels()) {
    const testing::Activations got = testing::Quantize(x, kTokens, kCols, *kernels);
    EXPECT_EQ(got.q, want.q) << NameOf(kernels->isa);
    EXPECT_EQ(Bits(got.scale), Bits(want.scale)) << NameOf(kernels->isa);
    EXPECT_EQ(got.sums, want.sums) << NameOf(kernels->isa);
  }
}

TEST(QuantizeRows, SpecialBlocks) {
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  const struct {
    float value;
    float want_scale;
  } cases[] = {{NAN, NAN}, {INFINITY, NAN}, {-INFINITY, NAN}, {kTiny, 0}, {1e-37F, 0}, {-0.0F, 0}};
  for (const Kernels* kernels : testing::SupportedKernels()) {
    for (const auto& [value, want_scale] : cases) {
      for (size_t at : {0U, 13U, 31U}) {
        std::vector<float> x(64, value == value && std::isfinite(value) ? 0.0F : 1.0F);
        x[at] = value;
        for (size_t i = 32; i < 64; ++i) x[i] = 2.0F;
        const testing::Activations got = testing::Quantize(x, 1, 64, *kernels);
        EXPECT_EQ(std::isnan(got.scale[0]), std::isnan(want_scale));
        if (!std::isnan(want_scale)) {
          EXPECT_EQ(got.scale[0], want_scale);
        }
        for (size_t i = 0; i < 32; ++i) EXPECT_EQ(got.q[i], 0);
        EXPECT_EQ(got.sums[0], 0);
        // The neighbour is not touched by it.
        EXPECT_EQ(got.scale[1], 2.0F / 127.0F);
        EXPECT_EQ(got.q[32], 127);
        EXPECT_EQ(got.sums[2], 127 * 16);
      }
    }
  }
}

TEST(RmsNorm, IsCloseToFloat64AndEqualOnEveryLevel) {
  std::mt19937 random(22);
  for (int64_t n : kLengths) {
    const std::vector<float> x = RandomFloats(n, random, 4.0F);
    const std::vector<float> weight = RandomFloats(n, random);
    constexpr float kEps = 1e-5F;
    double squares = 0;
    for (float v : x) squares += static_cast<double>(v) * v;
    const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + kEps);
    std::vector<float> first;
    for (const Kernels* kernels : testing::SupportedKernels()) {
      Guarded<float> guarded(x, Guard::kAfter);
      Guarded<float> out(x.size());
      kernels->rms_norm(guarded.data(), weight.data(), n, kEps, out.data());
      for (size_t i = 0; i < x.size(); ++i) {
        const double want = x[i] * factor * weight[i];
        EXPECT_NEAR(out.data()[i], want, 1e-6 * std::abs(want));
      }
      kernels->rms_norm(guarded.data(), weight.data(), n, kEps, guarded.data());  // in place
      EXPECT_EQ(Bits(guarded.span()), Bits(out.span()));
      if (first.empty()) first.assign(out.span().begin(), out.span().end());
      EXPECT_EQ(Bits(out.span()), Bits(first)) << NameOf(kernels->isa) << ' ' << n;
    }
  }
}

TEST(SiluMul, IsCloseToFloat64AndEqualOnEveryLevel) {
  std::mt19937 random(23);
  for (int64_t n : kLengths) {
    std::vector<float> gate = RandomFloats(n, random, 20.0F);
    if (n > 4) {
      gate[0] = 0.0F;
      gate[1] = -200.0F;
      gate[2] = 200.0F;
    }
    const std::vector<float> up = RandomFloats(n, random);
    ExpectCloseOnEveryLevel(
        gate, [&](const Kernels& kernels, float* out) { kernels.silu_mul(out, up.data(), n); },
        [&](size_t i) {
          const double g = gate[i];
          return g / (1 + std::exp(-g)) * up[i];
        },
        [](double want) { return 5e-7 * std::abs(want) + 1e-35; });
  }
  for (const Kernels* kernels : testing::SupportedKernels()) {
    float gate[3] = {NAN, 1.0F, INFINITY};
    const float up[3] = {1.0F, NAN, 2.0F};
    kernels->silu_mul(gate, up, 3);
    EXPECT_TRUE(std::isnan(gate[0]));
    EXPECT_TRUE(std::isnan(gate[1]));
    EXPECT_EQ(gate[2], INFINITY);
  }
}

TEST(Relu2Mul, SquaresWhatIsPositive) {
  std::mt19937 random(26);
  for (int64_t n : kLengths) {
    std::vector<float> gate = RandomFloats(n, random, 20.0F);
    if (n > 2) gate[0] = -0.0F;
    const std::vector<float> up = RandomFloats(n, random);
    for (const Kernels* kernels : testing::SupportedKernels()) {
      Guarded<float> out(gate, Guard::kAfter);
      kernels->relu2_mul(out.data(), up.data(), n);
      for (size_t i = 0; i < gate.size(); ++i) {
        const float g = gate[i] > 0 ? gate[i] : 0.0F;
        EXPECT_EQ(out.data()[i], g * g * up[i]) << NameOf(kernels->isa) << ' ' << gate[i];
      }
    }
  }
  for (const Kernels* kernels : testing::SupportedKernels()) {
    float gate[3] = {NAN, -1.0F, INFINITY};
    const float up[3] = {1.0F, 2.0F, 2.0F};
    kernels->relu2_mul(gate, up, 3);
    EXPECT_TRUE(std::isnan(gate[0]));
    EXPECT_EQ(gate[1], 0.0F);
    EXPECT_EQ(gate[2], INFINITY);
  }
}

TEST(LayerNorm, IsCloseToFloat64AndEqualOnEveryLevel) {
  std::mt19937 random(28);
  for (int64_t n : kLengths) {
    std::vector<float> x = RandomFloats(n, random, 4.0F);
    for (float& v : x) v += 3;  // a mean that counts
    const std::vector<float> weight = RandomFloats(n, random);
    const std::vector<float> bias = RandomFloats(n, random);
    double mean = 0;
    for (float v : x) mean += v / static_cast<double>(n);
    double squares = 0;
    for (float v : x) squares += (v - mean) * (v - mean);
    const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    std::vector<float> first;
    for (const Kernels* kernels : testing::SupportedKernels()) {
      Guarded<float> guarded(x, Guard::kAfter);
      Guarded<float> out(x.size());
      kernels->layer_norm(guarded.data(), weight.data(), bias.data(), n, 1e-5F, out.data());
      for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_NEAR(out.data()[i], (x[i] - mean) * factor * weight[i] + bias[i], 3e-6) << n;
      }
      kernels->layer_norm(guarded.data(), weight.data(), bias.data(), n, 1e-5F, guarded.data());
      EXPECT_EQ(Bits(guarded.span()), Bits(out.span()));
      if (first.empty()) first.assign(out.span().begin(), out.span().end());
      EXPECT_EQ(Bits(out.span()), Bits(first)) << NameOf(kernels->isa) << ' ' << n;
    }
  }
}

TEST(GeluMul, IsCloseToFloat64AndEqualOnEveryLevel) {
  std::mt19937 random(29);
  for (int64_t n : kLengths) {
    std::vector<float> gate = RandomFloats(n, random, 6.0F);
    if (n > 4) {
      gate[0] = 0.0F;
      gate[1] = -200.0F;
      gate[2] = 1e25F;
    }
    const std::vector<float> up = RandomFloats(n, random);
    ExpectCloseOnEveryLevel(
        gate, [&](const Kernels& kernels, float* out) { kernels.gelu_mul(out, up.data(), n); },
        [&](size_t i) {
          const double g = gate[i];
          const double u = std::sqrt(2 / std::acos(-1.0)) * (g + 0.044715 * g * g * g);
          return g / 2 * (1 + std::tanh(u)) * up[i];
        },
        [](double want) { return 2e-6 * std::abs(want) + 2e-7; });
  }
}

TEST(ClampedSwiglu, IsCloseToFloat64AndEqualOnEveryLevel) {
  std::mt19937 random(31);
  for (int64_t n : kLengths) {
    std::vector<float> gate = RandomFloats(n, random, 9.0F);
    if (n > 4) {
      gate[0] = 0.0F;
      gate[1] = -200.0F;
      gate[2] = 1e25F;
    }
    const std::vector<float> up = RandomFloats(n, random, 9.0F);
    ExpectCloseOnEveryLevel(
        gate,
        [&](const Kernels& kernels, float* out) { kernels.clamped_swiglu(out, up.data(), n); },
        [&](size_t i) {
          const double g = std::min(double{gate[i]}, 7.0);
          return g / (1 + std::exp(-1.702 * g)) * (std::clamp(double{up[i]}, -7.0, 7.0) + 1);
        },
        [](double want) { return 2e-6 * std::abs(want) + 2e-7; });
  }
}

TEST(SoftCap, IsCloseToFloat64AndEqualOnEveryLevel) {
  std::mt19937 random(30);
  constexpr float kCap = 30;
  for (int64_t n : kLengths) {
    std::vector<float> x = RandomFloats(n, random, 100.0F);
    if (n > 4) {
      x[0] = 0.0F;
      x[1] = 1e20F;
      x[2] = -INFINITY;
    }
    ExpectCloseOnEveryLevel(
        x, [&](const Kernels& kernels, float* out) { kernels.soft_cap(out, kCap, n); },
        [&](size_t i) { return kCap * std::tanh(static_cast<double>(x[i]) / kCap); },
        [](double) { return kCap * 0x1p-22; });
  }
}

TEST(AddScaled, RoundsProductAndSum) {
  std::mt19937 random(27);
  for (int64_t n : kLengths) {
    const std::vector<float> x = RandomFloats(n, random);
    const std::vector<float> y = RandomFloats(n, random);
    for (const Kernels* kernels : testing::SupportedKernels()) {
      Guarded<float> out(x, Guard::kAfter);
      kernels->add_scaled(out.data(), y.data(), 0.3F, n);
      for (size_t i = 0; i < x.size(); ++i) {
        const float product = 0.3F * y[i];
        EXPECT_EQ(out.data()[i], x[i] + product) << NameOf(kernels->isa);
      }
    }
  }
}

TEST(Add, AddsEveryElement) {
  std::mt19937 random(24);
  for (int64_t n : kLengths) {
    const std::vector<float> x = RandomFloats(n, random);
    const std::vector<float> y = RandomFloats(n, random);
    for (const Kernels* kernels : testing::SupportedKernels()) {
      Guarded<float> out(x, Guard::kAfter);
      kernels->add(out.data(), y.data(), n);
      for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(out.data()[i], x[i] + y[i]);
    }
  }
}

TEST(Rope, RotatesPairsOfBothKinds) {
  std::mt19937 random(25);
  for (int64_t n_rot : {2, 6, 64, 80, 128}) {
    const std::vector<float> head = RandomFloats(n_rot, random);
    const std::vector<float> angles = RandomFloats(n_rot / 2, random, 3.0F);
    std::vector<float> cos;
    std::vector<float> sin;
    for (float a : angles) {
      cos.push_back(std::cos(a));
      sin.push_back(std::sin(a));
    }
    for (bool interleaved : {false, true}) {
      std::vector<float> first;
      for (const Kernels* kernels : testing::SupportedKernels()) {
        Guarded<float> out(head, Guard::kAfter);
        kernels->rope(out.data(), cos.data(), sin.data(), n_rot, interleaved);
        for (int64_t i = 0; i < n_rot / 2; ++i) {
          const auto ia = static_cast<size_t>(interleaved ? 2 * i : i);
          const auto ib = static_cast<size_t>(interleaved ? 2 * i + 1 : i + n_rot / 2);
          const double c = cos[static_cast<size_t>(i)];
          const double s = sin[static_cast<size_t>(i)];
          EXPECT_NEAR(out.data()[ia], head[ia] * c - head[ib] * s, 1e-6);
          EXPECT_NEAR(out.data()[ib], head[ia] * s + head[ib] * c, 1e-6);
        }
        if (first.empty()) first.assign(out.span().begin(), out.span().end());
        EXPECT_EQ(Bits(out.span()), Bits(first)) << NameOf(kernels->isa);
      }
    }
  }
}

}  // namespace
}  // namespace llmrun
