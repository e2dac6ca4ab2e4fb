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

using SuperLevels = std::array<float, kSuperElems>;

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
    Choice best = At(0, std::numeric_limits<float>::infinity());
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

  // What each value becomes, before it is multiplied with unit and scale.
  SuperLevels LevelsOf(const Choice& choice) const {
    SuperLevels levels;
    for (int i = 0; i < kSuperElems; i += kLanes) {
      const float step = choice.unit * static_cast<float>(choice.scales[i / kSubElems]);
      const Lanes y = step != 0 ? Load(values_ + i) / step : Lanes{};
      Store(Levels::Nearest(y), &levels[i]);
    }
    return levels;
  }

 private:
  const float* X(int j) const { return values_ + j * kSubElems; }
  const float* W(int j) const { return weights_.data() + j * kSubElems; }

  // Without all scales where the error is not below `limit` anyway.
  Choice At(float wanted_unit, float limit) const {
    Choice choice;
    choice.unit = RoundedToHalf(wanted_unit);
    choice.error = 0;
    for (int j = 0; j < kSubs && choice.error < limit; ++j) {
      choice.error += ChooseScale(choice.unit, j, &choice.scales[j]);
    }
    return choice;
  }

  bool Improve(Choice* best, float unit) const {
    const Choice choice = At(unit, best->error);
    const bool better = choice.error < best->error;
    if (better) *best = choice;
    return better;
  }

  // Of the integers next to the sub-block's own scale, the one with the least error.
  float ChooseScale(float unit, int j, int* scale) const {
    const float own = unit != 0 ? fits_[j] / unit : 0;
    const int middle = static_cast<int>(
        RoundSmall(std::min(std::max(own, static_cast<float>(kFirst)), static_cast<float>(kLast))));
    const int first = std::max(middle - 1, kFirst);
    const int last = std::min(middle + 1, kLast);
    const Lanes steps = Fill(static_cast<float>(first)) + Lanes{0, 1, 2, 2};
    const Lanes scales = Clamp(steps, static_cast<float>(kFirst), static_cast<float>(last));
    const Lanes errors = ErrorsAt<Levels>(X(j), W(j), kSubElems, unit * scales);
    float least = std::numeric_limits<float>::infinity();
    for (int lane = 0; lane < kLanes; ++lane) {
      if (errors[lane] < least) *scale = static_cast<int>(scales[lane]);
      least = std::min(errors[lane], least);
    }
    return least;
  }

  // The best unit for the levels that this choice leads to.
  float Solved(const Choice& choice) const {
    const SuperLevels levels = LevelsOf(choice);
    float products = 0;
    float squares = 0;
    for (int i = 0; i < kSuperElems; ++i) {
      const float part = static_cast<float>(choice.scales[i / kSubElems]) * levels[i];
      products += weights_[i] * values_[i] * part;
      squares += weights_[i] * part * part;
    }
    return squares > 0 ? products / squares : 0;
  }

  const float* values_;
  std::array<float, kSuperElems> weights_{};
  std::array<float, kSubs> fits_{};
};

}  // namespace

void EncodeQ3_K(const float* values, const float* importance, std::byte* block) {
  using Levels = IntegerLevels<-4, 3>;
  const ScaleSearch<Levels, 16, -32, 31> search(values, importance);
  const auto best = search.Best();
  const SuperLevels levels = search.LevelsOf(best);
  std::memset(block, 0, 110);
  for (int j = 0; j < 16; ++j) {
    const int scale = best.scales[j] + 32;
    OrByte(block + 96 + j % 8, (scale & 15) << (j / 8 * 4));
    OrByte(block + 104 + j % 4, (scale >> 4) << (j / 4 * 2));
  }
  for (int i = 0; i < kSuperElems; ++i) {
    const int code = Levels::CodeOf(levels[i]);
    PutTwoBits(block + 32, i, code & 3);
    OrByte(block + i % 32, (code >> 2) << (i / 32));
  }
  PutHalf(block + 108, best.unit);
}

void EncodeQ6_K(const float* values, const float* importance, std::byte* block) {
  using Levels = IntegerLevels<-32, 31>;
  const ScaleSearch<Levels, 16, -128, 127> search(values, importance);
  const auto best = search.Best();
  const SuperLevels levels = search.LevelsOf(best);
  std::memset(block, 0, 210);
  for (int i = 0; i < kSuperElems; ++i) {
    const int code = Levels::CodeOf(levels[i]);
    OrByte(block + i / 128 * 64 + i % 64, (code & 15) << (i % 128 / 64 * 4));
    PutTwoBits(block + 128, i, code >> 4);
  }
  for (int j = 0; j < 16; ++j) PutAs(block + 192 + j, static_cast<int8_t>(best.scales[j]));
  PutHalf(block + 208, best.unit);
}

void EncodeIq4Xs(const float* values, const float* importance, std::byte* block) {
  const ScaleSearch<Iq4Levels, 32, -32, 31> search(values, importance);
  const auto best = search.Best();
  const SuperLevels levels = search.LevelsOf(best);
  std::memset(block, 0, 136);
  PutHalf(block, best.unit);
  for (int j = 0; j < 8; ++j) {
    const int scale = best.scales[j] + 32;
    OrByte(block + 2 + j / 4, (scale >> 4) << (j % 4 * 2));
    OrByte(block + 4 + j / 2, (scale & 15) << (j % 2 * 4));
    for (int i = 0; i < 32; ++i) {
      PutNibble(block + 8 + j * 16, i, Iq4Levels::CodeOf(levels[j * 32 + i]));
    }
  }
}

}  // namespace llmrun::quantize
