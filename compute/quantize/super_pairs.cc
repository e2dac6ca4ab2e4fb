// Superblocks whose sub-blocks have an integer scale and an integer minimum each, which are times
// two half-precision units: value = unit * scale * code - min_unit * min.
//
// As in super_scales.cc: each sub-block's own best range is found, units are tried that put the
// largest scale and the largest minimum at or near the last integer, for each pair of units every
// sub-block takes the integers with the least error, and the best is improved by solving in turn.
#include <array>
#include <cmath>
#include <limits>

#include "compute/quantize/encoders.h"
#include "compute/quantize/fit_range.h"

namespace llmrun::quantize {
namespace {

using SuperCodes = std::array<float, kSuperElems>;  // whole numbers

template <int kLastCode, int kSubElems, int kLastScale>
class PairSearch {
 public:
  static constexpr int kSubs = kSuperElems / kSubElems;
  struct Choice {
    float unit = 0;  // half-precision values
    float min_unit = 0;
    std::array<int, kSubs> scales{};
    std::array<int, kSubs> mins{};
    float error = std::numeric_limits<float>::infinity();

    RangeFit RangeOf(int j) const {
      return {unit * static_cast<float>(scales[j]), -min_unit * static_cast<float>(mins[j])};
    }
  };

  PairSearch(const float* values, const float* importance) : values_(values) {
    BlockWeights(values, importance, kSuperElems, weights_.data());
    for (int j = 0; j < kSubs; ++j) fits_[j] = FitRange<kLastCode>(X(j), W(j), kSubElems, true);
  }

  Choice Best() const {
    float scale = 0;
    float min = 0;
    for (const RangeFit& fit : fits_) {
      scale = std::max(scale, fit.scale);
      min = std::max(min, -fit.offset);
    }
    Choice best = At(0, 0, std::numeric_limits<float>::infinity());
    constexpr int kSteps = 3;
    for (int i = 0; i < kSteps; ++i) {
      for (int k = 0; k < kSteps; ++k) {
        Improve(&best, scale / static_cast<float>(kLastScale - i),
                min / static_cast<float>(kLastScale - k));
      }
    }
    constexpr int kRounds = 4;
    for (int round = 0; round < kRounds; ++round) {
      const auto [unit, min_unit] = Solved(best);
      if (!Improve(&best, unit, min_unit)) break;
    }
    return best;
  }

  SuperCodes CodesOf(const Choice& choice) const {
    SuperCodes codes;
    for (int i = 0; i < kSuperElems; i += kLanes) {
      const RangeFit range = choice.RangeOf(i / kSubElems);
      const Lanes shifted = Load(values_ + i) - range.offset;
      const Lanes y = range.scale != 0 ? shifted / range.scale : Lanes{};
      Store(IntegerLevels<0, kLastCode>::Nearest(y), &codes[i]);
    }
    return codes;
  }

 private:
  const float* X(int j) const { return values_ + j * kSubElems; }
  const float* W(int j) const { return weights_.data() + j * kSubElems; }

  // Without all integers where the error is not below `limit` anyway.
  Choice At(float unit, float min_unit, float limit) const {
    Choice choice;
    choice.unit = RoundedToHalf(unit);
    choice.min_unit = RoundedToHalf(min_unit);
    choice.error = 0;
    for (int j = 0; j < kSubs && choice.error < limit; ++j) {
      choice.error += ChoosePair(&choice, j);
    }
    return choice;
  }

  bool Improve(Choice* best, float unit, float min_unit) const {
    const Choice choice = At(unit, min_unit, best->error);
    const bool better = choice.error < best->error;
    if (better) *best = choice;
    return better;
  }

  static int NearestInteger(float own, float unit) {
    if (unit == 0) return 0;
    return static_cast<int>(IntegerLevels<0, kLastScale>::Nearest(own / unit));
  }

  // Of the integers next to the sub-block's own scale and minimum, those with the least error.
  float ChoosePair(Choice* choice, int j) const {
    const int scale = NearestInteger(fits_[j].scale, choice->unit);
    const int min = NearestInteger(-fits_[j].offset, choice->min_unit);
    const Lanes tried = Fill(static_cast<float>(std::max(min - 1, 0))) + Lanes{0, 1, 2, 2};
    const Lanes mins = Clamp(tried, 0, static_cast<float>(std::min(min + 1, kLastScale)));
    float least = std::numeric_limits<float>::infinity();
    for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, kLastScale); ++s) {
      const RangeFits ranges = {Fill(choice->unit * static_cast<float>(s)),
                                -choice->min_unit * mins};
      const Lanes errors = ErrorsAt<kLastCode>(X(j), W(j), kSubElems, ranges);
      for (int lane = 0; lane < kLanes; ++lane) {
        if (errors[lane] >= least) continue;
        least = errors[lane];
        choice->scales[j] = s;
        choice->mins[j] = static_cast<int>(mins[lane]);
      }
    }
    return least;
  }

  // The best units for the codes that this choice leads to: the solution of two equations.
  std::pair<float, float> Solved(const Choice& choice) const {
    float aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    const SuperCodes codes = CodesOf(choice);
    for (int i = 0; i < kSuperElems; ++i) {
      const int j = i / kSubElems;
      const float a = static_cast<float>(choice.scales[j]) * codes[i];
      const float b = -static_cast<float>(choice.mins[j]);
      aa += weights_[i] * a * a;
      ab += weights_[i] * a * b;
      bb += weights_[i] * b * b;
      ax += weights_[i] * a * values_[i];
      bx += weights_[i] * b * values_[i];
    }
    const float determinant = aa * bb - ab * ab;
    if (!(determinant > 0)) return {aa > 0 ? ax / aa : 0, choice.min_unit};
    return {(ax * bb - bx * ab) / determinant, (bx * aa - ax * ab) / determinant};
  }

  const float* values_;
  std::array<float, kSuperElems> weights_{};
  std::array<RangeFit, kSubs> fits_{};
};

// Q4_K and Q5_K: d, dmin; eight 6-bit pairs in 12 bytes; with a fifth bit 32 bytes of them; nibbles
template <int kLastCode>
void EncodeEightPairs(const float* values, const float* importance, std::byte* block) {
  using Search = PairSearch<kLastCode, 32, 63>;
  constexpr bool kFifthBit = kLastCode > 15;
  std::byte* const nibbles = block + (kFifthBit ? 48 : 16);
  const Search search(values, importance);
  const auto best = search.Best();
  const SuperCodes codes = search.CodesOf(best);
  std::memset(block, 0, kFifthBit ? 176 : 144);
  PutHalf(block, best.unit);
  PutHalf(block + 2, best.min_unit);
  std::byte* const packed = block + 4;
  for (int j = 0; j < 4; ++j) {
    OrByte(packed + j, best.scales[j] | (best.scales[j + 4] >> 4) << 6);
    OrByte(packed + 4 + j, best.mins[j] | (best.mins[j + 4] >> 4) << 6);
    OrByte(packed + 8 + j, (best.scales[j + 4] & 15) | (best.mins[j + 4] & 15) << 4);
  }
  for (int i = 0; i < kSuperElems; ++i) {
    const int j = i / 32;
    const int code = static_cast<int>(codes[i]);
    OrByte(nibbles + j / 2 * 32 + i % 32, (code & 15) << (j % 2 * 4));
    if (kFifthBit) OrByte(block + 16 + i % 32, (code >> 4) << j);
  }
}

}  // namespace

void EncodeQ2_K(const float* values, const float* importance, std::byte* block) {
  const PairSearch<3, 16, 15> search(values, importance);
  const auto best = search.Best();
  const SuperCodes codes = search.CodesOf(best);
  std::memset(block, 0, 84);
  for (int j = 0; j < 16; ++j) OrByte(block + j, best.scales[j] | best.mins[j] << 4);
  for (int i = 0; i < kSuperElems; ++i) {
    PutTwoBits(block + 16, i, static_cast<int>(codes[i]));
  }
  PutHalf(block + 80, best.unit);
  PutHalf(block + 82, best.min_unit);
}

void EncodeQ4_K(const float* values, const float* importance, std::byte* block) {
  EncodeEightPairs<15>(values, importance, block);
}

void EncodeQ5_K(const float* values, const float* importance, std::byte* block) {
  EncodeEightPairs<31>(values, importance, block);
}

}  // namespace llmrun::quantize
