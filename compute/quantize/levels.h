// What quants can stand for, times a scale: rounding to the nearest of them. One type a set, for
// the searches in fit_scale.h and fit_range.h.
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "compute/codec_decoders.h"
#include "compute/quantize/lanes.h"

namespace llmrun::quantize {

// Ties to even. Requires: |value| < 2^22; without a call, so that loops of it are vectorized.
template <typename Number>  // float or Lanes
Number RoundSmall(Number value) {
  constexpr float kMagic = 12582912.0F;  // 1.5 * 2^23
  return value + kMagic - kMagic;
}

// All integers from kFirst to kLast.
template <int kFirst, int kLast>
struct IntegerLevels {
  static constexpr float kLow = kFirst;
  static constexpr float kHigh = kLast;
  static constexpr float kGap = 1;  // between levels at the ends
  static float Nearest(float y) { return RoundSmall(std::min(std::max(y, kLow), kHigh)); }
  static Lanes Nearest(Lanes y) { return RoundSmall(Clamp(y, kLow, kHigh)); }
  static int CodeOf(float level) { return static_cast<int>(level) - kFirst; }
};

// The levels of a table in ascending order, all of them in -128..127.
template <const auto& kTable>
struct TableLevels {
  static constexpr size_t kCount = std::size(kTable);
  static constexpr float kLow = kTable[0];
  static constexpr float kHigh = kTable[kCount - 1];
  static constexpr float kGap = (kHigh - kTable[kCount - 2]) / 2;
  static float Nearest(float y) { return static_cast<float>(kTable[CodeOf(y)]); }
  static Lanes Nearest(Lanes y) {
    using Places = int __attribute__((vector_size(16)));
    const auto at = __builtin_convertvector(Clamp(2 * y, -256.0F, 255.0F) + 256.0F, Places);
    const auto level = [&](int lane) { return kNearest[static_cast<size_t>(at[lane])]; };
    return Lanes{level(0), level(1), level(2), level(3)};
  }
  // Of the nearest level.
  static int CodeOf(float y) {
    const float half_steps = std::min(std::max(2 * y, -256.0F), 255.0F);
    return kCodes[static_cast<size_t>(static_cast<int>(half_steps + 256.0F))];
  }

 private:
  // For every half step from -128 on, the level that is nearest to its middle.
  static constexpr std::array<uint8_t, 512> kCodes = [] {
    std::array<uint8_t, 512> codes{};
    size_t code = 0;
    for (int i = 0; i < 512; ++i) {
      // In quarters: twice the middle of the half step against the sum of two levels.
      const int middle = 2 * i + 1 - 512;
      while (code + 1 < kCount && middle > 2 * (kTable[code] + kTable[code + 1])) ++code;
      codes[static_cast<size_t>(i)] = static_cast<uint8_t>(code);
    }
    return codes;
  }();
  // The same levels themselves.
  static constexpr std::array<float, 512> kNearest = [] {
    std::array<float, 512> levels{};
    for (size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<float>(kTable[kCodes[i]]);
    return levels;
  }();
};

// Twice what the codes of E2M1 stand for, in ascending order; the sign is the highest bit of a
// code.
inline constexpr int kE2m1Twice[15] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};

using Iq4Levels = TableLevels<codec::kIq4Values>;
using E2m1Levels = TableLevels<kE2m1Twice>;

}  // namespace llmrun::quantize
