// Values -1, 0, 1 times a scale. A block's scale is the one with the least error: the mean
// magnitude of the values that do not become 0, which are those above half of it. Values that are
// ternary already come out as they are.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "compute/quantize/encoders.h"

namespace llmrun::quantize {
namespace {

struct Weighted {
  float magnitude = 0;
  float weight = 0;
};

// The best are the k largest magnitudes for some k: all k are looked at.
float TernaryScale(std::vector<Weighted>* values) {
  std::ranges::sort(*values, std::greater<>(), &Weighted::magnitude);
  double products = 0;
  double weights = 0;
  double most = 0;
  double scale = 0;
  for (const Weighted& v : *values) {
    products += double{v.weight} * v.magnitude;
    weights += v.weight;
    if (weights <= 0 || products * products <= most * weights) continue;
    most = products * products / weights;
    scale = products / weights;
  }
  return static_cast<float>(scale);
}

float TernaryScale(const float* values, const float* importance, int64_t n) {
  std::vector<Weighted> weighted(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    weighted[i] = {std::fabs(values[i]), importance != nullptr ? importance[i] : 1};
  }
  return TernaryScale(&weighted);
}

// 0, 1, 2 for -1, 0, 1
int TernaryCode(float value, float scale) {
  const float half = scale / 2;
  return 1 + (value > half ? 1 : 0) - (value < -half ? 1 : 0);
}

// Base-3 digits, the first in front: n of 243 rounded up to 256ths.
std::byte PackedDigits(int n) { return static_cast<std::byte>((n * 256 + 242) / 243); }

}  // namespace

void EncodeTq1_0(const float* values, const float* importance, std::byte* block) {
  struct Run {
    int first, bytes, digits;
  };
  const float scale = RoundedToHalf(TernaryScale(values, importance, kSuperElems));
  std::array<int, 52> packed{};
  const float* value = values;
  for (const Run run : {Run{0, 32, 5}, Run{32, 16, 5}, Run{48, 4, 4}}) {
    for (int digit = 0; digit < run.digits; ++digit) {
      for (int i = run.first; i < run.first + run.bytes; ++i) {
        packed[i] = packed[i] * 3 + TernaryCode(*value++, scale);
      }
    }
  }
  for (int i = 0; i < 52; ++i) block[i] = PackedDigits(i < 48 ? packed[i] : packed[i] * 3);
  PutHalf(block + 52, scale);
}

void EncodeTq2_0(const float* values, const float* importance, std::byte* block) {
  const float scale = RoundedToHalf(TernaryScale(values, importance, kSuperElems));
  std::memset(block, 0, 66);
  for (int i = 0; i < kSuperElems; ++i) PutTwoBits(block, i, TernaryCode(values[i], scale));
  PutHalf(block + 64, scale);
}

void EncodeIq2Bn(const float* values, const float* importance, int64_t n, std::byte* row) {
  const float scale = TernaryScale(values, importance, n);
  PutAs(row, scale);
  std::byte* const codes = row + sizeof scale;
  std::memset(codes, 0, static_cast<size_t>(n / 4));
  for (int64_t i = 0; i < n; ++i) {
    OrByte(codes + i / 64 * 16 + i % 16, TernaryCode(values[i], scale) << (i % 64 / 16 * 2));
  }
}

void EncodeI2S(const float* values, int64_t n, float scale, std::byte* row) {
  std::memset(row, 0, static_cast<size_t>(n / 4));
  for (int64_t i = 0; i < n; ++i) {
    OrByte(row + i / 128 * 32 + i % 32, TernaryCode(values[i], scale) << (6 - i % 128 / 32 * 2));
  }
}

}  // namespace llmrun::quantize
