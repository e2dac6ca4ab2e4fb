#include "model/rope.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace llmrun {
namespace {

// Radians a position, of pair i.
double RadiansOf(const RopeTable& table, int64_t i) {
  return std::atan2(double{table.Sin(1)[i]}, double{table.Cos(1)[i]});
}

// Of heads of 128 with base 10000 and an original context of 4096 the authors' program scales no
// pair up to the 20th and all from the 46th on.
TEST(Rope, YarnScalesThePairsThatTurnSlowly) {
  RopeParams params{.n_rot = 128};
  RopeTable plain(params, {});
  params.scale = 1.0 / 16;
  params.yarn = YarnParams{.original_context = 4096};
  RopeTable yarn(params, {});
  plain.Grow(2);
  yarn.Grow(2);
  for (int64_t i = 0; i < 64; ++i) {
    const double scaled = std::clamp(static_cast<double>(i - 20) / (46 - 20), 0.0, 1.0);
    const double want = RadiansOf(plain, i) * (scaled / 16 + (1 - scaled));
    EXPECT_NEAR(RadiansOf(yarn, i), want, 1e-6 * want) << i;
  }
}

// Contexts so short that no pair turns often, or none even once.
TEST(Rope, YarnOfShortContextsScalesAllPairs) {
  for (const int64_t original_context : {1, 6}) {
    RopeParams params{.n_rot = 8, .scale = 0.25};
    RopeTable linear(params, {});
    params.yarn = YarnParams{.original_context = original_context};
    RopeTable yarn(params, {});
    linear.Grow(2);
    yarn.Grow(2);
    for (int64_t i = 1; i < 4; ++i) {
      EXPECT_NEAR(RadiansOf(yarn, i), RadiansOf(linear, i), 1e-6) << i;
    }
  }
}

TEST(Rope, HasItsMagnitude) {
  RopeTable table({.n_rot = 4, .magnitude = 1.5}, {});
  table.Grow(3);
  for (int64_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(std::hypot(double{table.Sin(2)[i]}, double{table.Cos(2)[i]}), 1.5, 1e-6);
  }
}

}  // namespace
}  // namespace llmrun
