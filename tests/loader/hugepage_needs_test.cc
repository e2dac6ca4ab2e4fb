#include "loader/plan/hugepage_needs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/units.h"
#include "tests/loader/plan_index.h"

namespace llmrun {
namespace {

using testing::ElementsAre;

// A matrix of 5 GiB: 1280 rows of 4 MiB.
TensorIndex FiveGib() { return MakeIndex({{5 * kGiB, {{"blk.0.w", 0, 5 * kGiB, {kMiB, 1280}}}}}); }

// "0: 2 x 1G, 1 free": what is needed, pool by pool.
std::vector<std::string> Needs(const HugePageWish& wish) {
  Machine machine = SyntheticMachine("pack:2 [numa(memory=64GB)] core:4 pu:1").value();
  machine.nodes[1].pool_1g = {.total_pages = 1, .free_pages = 1};
  const auto needs = PlanHugePages(FiveGib(), machine, wish);
  EXPECT_TRUE(needs);
  std::vector<std::string> out;
  for (const HugePageNeed& need : needs->pools) {
    out.push_back(fmt::format("{}: {} x {}, {} missing", need.change.node, need.change.pages,
                              NameOf(need.change.kind), need.missing()));
  }
  return out;
}

TEST(HugePageNeeds, OneNode) {
  EXPECT_THAT(Needs({.numa = BindTo(1)}), ElementsAre("1: 5 x 1G, 4 missing"));
  EXPECT_THAT(Needs({.kind = PageKind::k2M, .numa = BindTo(1)}),
              ElementsAre("1: 2560 x 2M, 2560 missing"));
}

TEST(HugePageNeeds, WhereNoNodeIsChosenTheFirst) {
  EXPECT_THAT(Needs({.numa = {.mode = NumaMode::kOff}}), ElementsAre("0: 5 x 1G, 5 missing"));
}

TEST(HugePageNeeds, OfEachShard) {
  EXPECT_THAT(Needs({.numa = {.mode = NumaMode::kShard}}),
              ElementsAre("0: 2 x 1G, 2 missing", "0: 256 x 2M, 256 missing",
                          "1: 2 x 1G, 1 missing", "1: 256 x 2M, 256 missing"));
  EXPECT_THAT(Needs({.policy = HugePagesPolicy::kRequire, .numa = {.mode = NumaMode::kShard}}),
              ElementsAre("0: 3 x 1G, 3 missing", "1: 3 x 1G, 2 missing"));
}

TEST(HugePageNeeds, OfEachCopy) {
  EXPECT_THAT(Needs({.numa = {.mode = NumaMode::kMirror}}),
              ElementsAre("0: 5 x 1G, 5 missing", "1: 5 x 1G, 4 missing"));
}

TEST(HugePageNeeds, InTurns) {
  EXPECT_THAT(Needs({.numa = {.mode = NumaMode::kInterleave}}),
              ElementsAre("0: 3 x 1G, 3 missing", "1: 3 x 1G, 2 missing"));
}

TEST(HugePageNeeds, ANodeThatIsNotThere) {
  const Machine machine = SyntheticMachine("pack:2 [numa(memory=64GB)] core:4 pu:1").value();
  EXPECT_EQ(PlanHugePages(FiveGib(), machine, {.numa = BindTo(7)}).error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace llmrun
