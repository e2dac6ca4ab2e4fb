#include "cli/synth_recipes.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "compute/half.h"

namespace llmrun {
namespace {

using Bytes = std::span<std::byte>;

void Put(Bytes out, auto value) { std::memcpy(out.data(), &value, sizeof value); }

void PutScale(SynthRandom&, const SynthScales& scales, Bytes out) { Put(out, scales.half); }
void PutMin(SynthRandom&, const SynthScales& scales, Bytes out) { Put(out, scales.half_min); }
void PutRowScale(SynthRandom&, const SynthScales& scales, Bytes out) { Put(out, scales.scale); }

// Of quants whose mean is not 0: a random sign takes that of the values there.
void PutSignedScale(SynthRandom& random, const SynthScales& scales, Bytes out) {
  constexpr uint64_t kHalfSign = 0x8000;
  Put(out, static_cast<uint16_t>(scales.half ^ (random.Next() & kHalfSign)));
}

void PutExponent(SynthRandom& random, const SynthScales& scales, Bytes out) {
  const int up = random.Next() % 65536 < scales.upper ? 1 : 0;
  out[0] = static_cast<std::byte>(scales.exponent + up);
}

void PutBytes(SynthRandom& random, const SynthScales&, Bytes out) { random.FillBytes(out); }

// Quantizers never write -128: kernels may rely on that.
void PutInt8s(SynthRandom& random, const SynthScales&, Bytes out) {
  random.FillBytes(out);
  std::ranges::replace(out, std::byte{0x80}, std::byte{0x81});
}

// Integer scales of sub-blocks keep these different from each other, in the middle of what their
// bits can hold. Each minimum equals its scale.
constexpr float kSubScale = 31.83F;    // root mean square of 24..39
constexpr float kSubScale4 = 7.842F;   // of 4..11
constexpr float kSubScale6 = 23.948F;  // of 16..31, with either sign
uint8_t SubScale(uint64_t bits) { return static_cast<uint8_t>(24 + bits % 16); }

// Q4_K, Q5_K: eight 6-bit scales and as many 6-bit minimums.
void PutSixBitPairs(SynthRandom& random, const SynthScales&, Bytes out) {
  const uint64_t bits = random.Next();
  for (size_t j = 0; j < 4; ++j) {
    const uint8_t low = SubScale(bits >> (4 * j));
    const uint8_t high = SubScale(bits >> (16 + 4 * j));
    const auto packed = static_cast<std::byte>(low | (high >> 4) << 6);
    out[j] = packed;
    out[4 + j] = packed;
    out[8 + j] = static_cast<std::byte>((high & 15) | (high & 15) << 4);
  }
}

// Q2_K: a scale and a minimum in each byte.
void PutNibblePairs(SynthRandom& random, const SynthScales&, Bytes out) {
  uint64_t bits = random.Next();
  for (std::byte& pair : out) {
    pair = static_cast<std::byte>((4 + bits % 8) * 17);
    bits >>= 4;
  }
}

// Q6_K: 8-bit scales of random sign.
void PutSignedScales8(SynthRandom& random, const SynthScales&, Bytes out) {
  uint64_t bits = random.Next();
  uint64_t signs = random.Next();
  for (std::byte& scale : out) {
    const int sub = SubScale(bits);
    scale = static_cast<std::byte>((signs & 1) != 0 ? -sub : sub);
    bits >>= 4;
    signs >>= 1;
  }
}

// 6-bit scales of random sign, which have an offset of 32.
struct SignedScales6 {
  explicit SignedScales6(SynthRandom& random) : bits(random.Next()), signs(random.Next()) {}
  int At(size_t j) const {
    const int sub = static_cast<int>(16 + (bits >> (4 * j)) % 16);
    return (signs >> j & 1) != 0 ? 32 - sub : 32 + sub;
  }
  uint64_t bits, signs;
};

// Q3_K: 16 of them.
void PutScalesQ3(SynthRandom& random, const SynthScales&, Bytes out) {
  const SignedScales6 scales(random);
  std::ranges::fill(out, std::byte{0});
  for (size_t j = 0; j < 16; ++j) {
    const int scale = scales.At(j);
    out[j % 8] |= static_cast<std::byte>((scale & 15) << (j / 8 * 4));
    out[8 + j % 4] |= static_cast<std::byte>((scale >> 4) << (j / 4 * 2));
  }
}

// IQ4_XS: eight of them.
void PutScalesIq4(SynthRandom& random, const SynthScales&, Bytes out) {
  const SignedScales6 scales(random);
  std::ranges::fill(out, std::byte{0});
  for (size_t j = 0; j < 8; ++j) {
    const int scale = scales.At(j);
    out[j / 4] |= static_cast<std::byte>((scale >> 4) << (j % 4 * 2));
    out[2 + j / 2] |= static_cast<std::byte>((scale & 15) << (j % 2 * 4));
  }
}

// Calls put(byte, n) with a random n below `count` for every byte.
template <typename PutByte>
void ForEachDrawn(SynthRandom& random, Bytes out, uint64_t count, PutByte put) {
  uint64_t word = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    word = i % 4 == 0 ? random.Next() : word >> 16;
    put(out[i], word % 65536 * count / 65536);
  }
}

// Base-3 digits as quantizers write them: n of 243 rounded up to 256ths.
std::byte PackedTrits(uint64_t n) { return static_cast<std::byte>((n * 256 + 242) / 243); }

void PutFiveTrits(SynthRandom& random, const SynthScales&, Bytes out) {
  ForEachDrawn(random, out, 243, [](std::byte& at, uint64_t n) { at = PackedTrits(n); });
}

// The last of five digits is 0.
void PutFourTrits(SynthRandom& random, const SynthScales&, Bytes out) {
  ForEachDrawn(random, out, 81, [](std::byte& at, uint64_t n) { at = PackedTrits(n * 3); });
}

// Four codes of two bits, never 3.
void PutTwoBitTrits(SynthRandom& random, const SynthScales&, Bytes out) {
  ForEachDrawn(random, out, 81, [](std::byte& at, uint64_t n) {
    at = static_cast<std::byte>(n % 3 | n / 3 % 3 << 2 | n / 9 % 3 << 4 | n / 27 << 6);
  });
}

// Deviations of uniform codes; with a random sign, root mean squares.
constexpr float kInt8 = 73.6F;       // -127..127
constexpr float kTwoBits = 1.118F;   // 0..3
constexpr float kSigned3 = 2.345F;   // -4..3
constexpr float kNibble = 4.61F;     // 0..15
constexpr float kFiveBits = 9.233F;  // 0..31
constexpr float kSigned5 = 9.247F;   // -16..15
constexpr float kSixBits = 18.47F;   // -32..31
constexpr float kIq4 = 67.44F;       // the 16 values of IQ4_NL
constexpr float kE2m1 = 5.852F;      // 0, 1, 2, 3, 4, 6, 8, 12 and their negatives
constexpr float kTrit = 0.8165F;     // -1, 0, 1

constexpr size_t kRest = std::dynamic_extent;

// Block layouts: see compute/codec_blocks.cc, codec_super.cc and codec_ternary.cc.
constexpr SynthRecipe kRecipes[] = {
    {DType::kQ8_0, kInt8, 0, {{PutScale, 0, 2}, {PutInt8s, 2, 32}}},
    {DType::kQ4_0, kNibble, 0, {{PutBytes, 2, 16}, {PutSignedScale, 0, 2}}},
    {DType::kQ4_1, kNibble, -7.5F, {{PutScale, 0, 2}, {PutMin, 2, 2}, {PutBytes, 4, 16}}},
    {DType::kQ5_0, kSigned5, 0, {{PutBytes, 2, 20}, {PutSignedScale, 0, 2}}},
    {DType::kQ5_1, kFiveBits, -15.5F, {{PutScale, 0, 2}, {PutMin, 2, 2}, {PutBytes, 4, 20}}},
    {DType::kQ2_K,
     (kTwoBits * kSubScale4),
     1.5F,
     {{PutNibblePairs, 0, 16}, {PutBytes, 16, 64}, {PutScale, 80, 2}, {PutMin, 82, 2}}},
    {DType::kQ3_K,
     (kSigned3 * kSubScale6),
     0,
     {{PutBytes, 0, 96}, {PutScalesQ3, 96, 12}, {PutScale, 108, 2}}},
    {DType::kQ4_K,
     (kNibble * kSubScale),
     7.5F,
     {{PutScale, 0, 2}, {PutMin, 2, 2}, {PutSixBitPairs, 4, 12}, {PutBytes, 16, 128}}},
    {DType::kQ5_K,
     (kFiveBits * kSubScale),
     15.5F,
     {{PutScale, 0, 2}, {PutMin, 2, 2}, {PutSixBitPairs, 4, 12}, {PutBytes, 16, 160}}},
    {DType::kQ6_K,
     (kSixBits * kSubScale),
     0,
     {{PutBytes, 0, 192}, {PutSignedScales8, 192, 16}, {PutScale, 208, 2}}},
    {DType::kIQ4_NL, kIq4, 0, {{PutBytes, 2, 16}, {PutSignedScale, 0, 2}}},
    {DType::kIQ4_XS,
     (kIq4 * kSubScale6),
     0,
     {{PutScale, 0, 2}, {PutScalesIq4, 2, 6}, {PutBytes, 8, 128}}},
    {DType::kTQ1_0, kTrit, 0, {{PutFiveTrits, 0, 48}, {PutFourTrits, 48, 4}, {PutScale, 52, 2}}},
    {DType::kTQ2_0, kTrit, 0, {{PutTwoBitTrits, 0, 64}, {PutScale, 64, 2}}},
    {DType::kMXFP4, kE2m1, 0, {{PutExponent, 0, 1}, {PutBytes, 1, 16}}},
    {DType::kIQ2_BN, kTrit, 0, {{PutRowScale, 0, 4}, {PutTwoBitTrits, 4, kRest}}},
};

}  // namespace

const SynthRecipe* FindSynthRecipe(DType type) {
  const auto* it = std::ranges::find(kRecipes, type, &SynthRecipe::type);
  return it == std::end(kRecipes) ? nullptr : it;
}

SynthScales ScalesFor(const SynthRecipe& recipe, float deviation) {
  SynthScales scales;
  scales.scale = deviation / recipe.deviation;
  scales.half = FloatToHalf(scales.scale);
  scales.half_min = FloatToHalf(recipe.min * deviation / recipe.deviation);
  // A share of blocks at twice the scale 2^power makes the mean square that of `scale`.
  const int power = std::ilogb(scales.scale);
  const float over = std::ldexp(scales.scale, -power);
  scales.exponent = static_cast<uint8_t>(128 + power);
  scales.upper = static_cast<uint32_t>((over * over - 1) / 3 * 65536);
  return scales;
}

}  // namespace llmrun
