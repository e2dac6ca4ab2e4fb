// Superblocks whose sub-blocks have integer scales, which are times one half-precision unit.
//
// First each sub-block's own best scale is found, then units are tried that put the largest of them
// at the ends of the integers; for each unit every sub-block takes the integer with the least
// error, of those next to its own scale. For the best unit, unit and integers are solved in turn.
#include <array>
#include <cmath>
#include <limits>

#include "compute/quantize/encoders.h"
#include "compute/quantize/fit_scale.h"

namespace llmrun::quantize {
namespace {

template <typename Levels, int kSubElems, int kFirst, int kLast>
class ScaleSearch {
 public:
  static constexpr int kSubs = kSuperElems / kSubElems;
  struct Choice {
    float unit = 0;  // a half-precision value
    std::array<int, kSubs> scales{};
    float error = std::numeric_limits<float>::infinity();
  };

  ScaleSearch(const float* values, const float* importance) : values_(values) {
    BlockWeights(values, importance, kSuperElems, weights_.data());
    for (int j = 0; j < kSubs; ++j) {
      fits_[j] = FitScale<Levels>(X(j), W(j), kSubElems).scale;
    }
  }

  Choice Best() const {
    const float largest = LargestOf(fits_.data(), kSubs);
    Choice best = At(0);
    if (largest == 0) return best;
    constexpr int kSteps = 6;
    for (int step = 0; step < kSteps; ++step) {
      Improve(&best, largest / static_cast<float>(kFirst + step));
      Improve(&best, largest / static_cast<float>(kLast - step));
    }
    constexpr int kRounds = 3;
    for (int round = 0; round < kRounds; ++round) {
      if (!Improve(&best, Solved(best))) break;
    }
    return best;
  }

 private:
  const float* X(int j) const { return values_ + j * kSubElems; }
  const float* W(int j) const { return weights_.data() + j * kSubElems; }

  Choice At(float wanted_unit) const {
    Choice choice;
    choice.unit = RoundedToHalf(wanted_unit);
    choice.error = 0;
    for (int j = 0; j < kSubs; ++j) choice.error += ChooseScale(choice.unit, j, &choice.scales[j]);
    return choice;
  }

  bool Improve(Choice* best, float unit) const {
    const Choice choice = At(unit);
    const bool better = choice.error < best->error;
    if (better) *best = choice;
    return better;
  }

  float ChooseScale(float unit, int j, int* scale) const {
    const float own = unit != 0 ? fits_[j] / unit : 0;
    const int middle = static_cast<int>(
        RoundSmall(std::min(std::max(own, static_cast<float>(kFirst)), static_cast<float>(kLast))));
    float least = std::numeric_limits<float>::infinity();
    for (int s = std::max(middle - 1, kFirst); s <= std::min(middle + 1, kLast); ++s) {
      const float error = ErrorAt<Levels>(X(j), W(j), kSubElems, unit * static_cast<float>(s));
      if (error < least) *scale = s;
      least = std::min(error, least);
    }
    return least;
  }

  // The best unit for the levels that this choice leads to.
  float Solved(const Choice& choice) const {
    float products = 0;
    float squares = 0;
    for (int i = 0; i < kSuperElems; ++i) {
      const float scale = static_cast<float>(choice.scales[i / kSubElems]);
      const float step = choice.unit * scale;
      const float part = scale * Levels::Nearest(step != 0 ? values_[i] / step : 0);
      products += weights_[i] * values_[i] * part;
      squares += weights_[i] * part * part;
    }
    return squares > 0 ? products / squares : 0;
  }

  const float* values_;
  std::array<float, kSuperElems> weights_{};
  std::array<float, kSubs> fits_{};
};

template <typename Levels>
int CodeOf(float value, float step) {
  return Levels::CodeOf(Levels::Nearest(step != 0 ? value / step : 0));
}

}  // namespace

void EncodeQ3_K(const float* values, const float* importance, std::byte* block) {
  using Levels = IntegerLevels<-4, 3>;
  const auto best = ScaleSearch<Levels, 16, -32, 31>(values, importance).Best();
  std::memset(block, 0, 110);
  for (int j = 0; j < 16; ++j) {
    const int scale = best.scales[j] + 32;
    OrByte(block + 96 + j % 8, (scale & 15) << (j / 8 * 4));
    OrByte(block + 104 + j % 4, (scale >> 4) << (j / 4 * 2));
  }
  for (int i = 0; i < kSuperElems; ++i) {
    const float step = best.unit * static_cast<float>(best.scales[i / 16]);
    const int code = CodeOf<Levels>(values[i], step);
    PutTwoBits(block + 32, i, code & 3);
    OrByte(block + i % 32, (code >> 2) << (i / 32));
  }
  PutHalf(block + 108, best.unit);
}

void EncodeQ6_K(const float* values, const float* importance, std::byte* block) {
  using Levels = IntegerLevels<-32, 31>;
  const auto best = ScaleSearch<Levels, 16, -128, 127>(values, importance).Best();
  std::memset(block, 0, 210);
  for (int i = 0; i < kSuperElems; ++i) {
    const float step = best.unit * static_cast<float>(best.scales[i / 16]);
    const int code = CodeOf<Levels>(values[i], step);
    OrByte(block + i / 128 * 64 + i % 64, (code & 15) << (i % 128 / 64 * 4));
    PutTwoBits(block + 128, i, code >> 4);
  }
  for (int j = 0; j < 16; ++j) PutAs(block + 192 + j, static_cast<int8_t>(best.scales[j]));
  PutHalf(block + 208, best.unit);
}

void EncodeIq4Xs(const float* values, const float* importance, std::byte* block) {
  const auto best = ScaleSearch<Iq4Levels, 32, -32, 31>(values, importance).Best();
  std::memset(block, 0, 136);
  PutHalf(block, best.unit);
  for (int j = 0; j < 8; ++j) {
    const int scale = best.scales[j] + 32;
    OrByte(block + 2 + j / 4, (scale >> 4) << (j % 4 * 2));
    OrByte(block + 4 + j / 2, (scale & 15) << (j % 2 * 4));
    const float step = best.unit * static_cast<float>(best.scales[j]);
    for (int i = 0; i < 32; ++i) {
      PutNibble(block + 8 + j * 16, i, CodeOf<Iq4Levels>(values[j * 32 + i], step));
    }
  }
}

}  // namespace llmrun::quantize
