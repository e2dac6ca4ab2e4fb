#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/units.h"
#include "memory/arena.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr HugePages kAllHugePages[] = {HugePages::kOff, HugePages::kThp, HugePages::k2M,
                                       HugePages::k1G, HugePages::kAuto};
constexpr HugePagesPolicy kPolicies[] = {HugePagesPolicy::kTry, HugePagesPolicy::kRequire};

std::vector<uint64_t> InterestingSizes() {
  std::vector<uint64_t> sizes;
  for (const uint64_t unit : {4 * kKiB, 2 * kMiB, kGiB}) {
    for (const uint64_t count : {1, 2, 3, 511, 512, 513}) {
      for (const int64_t delta : {-4097, -1, 0, 1, 4096}) {
        const int64_t bytes = static_cast<int64_t>(unit * count) + delta;
        if (bytes > 0) sizes.push_back(static_cast<uint64_t>(bytes));
      }
    }
  }
  sizes.push_back(uint64_t{1} << 62);
  return sizes;
}

// The largest page that a plan may hold, and what its last bytes may lie in when required.
PageKind LargestKind(HugePages pages) {
  switch (pages) {
    case HugePages::kOff:
      return PageKind::k4K;
    case HugePages::kThp:
      return PageKind::kThp;
    case HugePages::k2M:
      return PageKind::k2M;
    default:
      return PageKind::k1G;
  }
}

void CheckTiles(const TileRequest& request) {
  const std::vector<PageTile> tiles = PlanTiles(request);
  ASSERT_FALSE(tiles.empty());
  uint64_t total_bytes = 0;
  uint64_t pages_1g = 0;
  uint64_t pages_2m = 0;
  for (size_t i = 0; i < tiles.size(); ++i) {
    EXPECT_GT(tiles[i].bytes, 0u);
    EXPECT_EQ(tiles[i].bytes % PageBytes(tiles[i].kind), 0u);
    EXPECT_LE(tiles[i].kind, LargestKind(request.pages));
    if (i > 0) {
      EXPECT_LT(tiles[i].kind, tiles[i - 1].kind) << "largest first, kinds merged";
    }
    total_bytes += tiles[i].bytes;
    if (tiles[i].kind == PageKind::k1G) pages_1g = tiles[i].bytes / kGiB;
    if (tiles[i].kind == PageKind::k2M) pages_2m = tiles[i].bytes / (2 * kMiB);
  }
  EXPECT_GE(total_bytes, request.bytes);
  EXPECT_LT(total_bytes - request.bytes, PageBytes(tiles.back().kind)) << "less than one page over";
  const bool is_auto = request.pages == HugePages::kAuto;
  if (request.policy == HugePagesPolicy::kTry) {
    const bool huge = request.pages != HugePages::kOff && request.bytes >= 2 * kMiB;
    EXPECT_LT(total_bytes - request.bytes, 2 * kMiB) << "never one more 1G page";
    EXPECT_EQ(tiles.back().kind == PageKind::k4K, !huge);
    EXPECT_EQ(tiles.size() == 1, !huge || tiles.front().bytes == total_bytes);
    if (is_auto) {
      EXPECT_LE(pages_2m, request.free_2m);
    }
  } else if (is_auto) {
    EXPECT_TRUE(IsHugetlb(tiles.back().kind));
  } else {
    EXPECT_EQ(tiles.size(), 1u);
    EXPECT_EQ(tiles[0].kind, LargestKind(request.pages));
  }
  if (is_auto) {
    EXPECT_LE(pages_1g, request.free_1g);
  }
}

TEST(PlanTiles, CoversEverySizeInEveryMode) {
  for (const uint64_t bytes : InterestingSizes()) {
    for (const HugePages pages : kAllHugePages) {
      for (const HugePagesPolicy policy : kPolicies) {
        for (const uint64_t free_1g : {0, 1, 2, 600}) {
          for (const uint64_t free_2m : {0, 1, 511, 100000}) {
            SCOPED_TRACE(fmt::format("{} bytes, {}, {}, {} x 1G, {} x 2M", bytes, NameOf(pages),
                                     NameOf(policy), free_1g, free_2m));
            CheckTiles({bytes, pages, policy, free_1g, free_2m});
          }
        }
      }
    }
  }
}

TEST(PlanTiles, MixesPagesLargestFirst) {
  const uint64_t bytes = 3 * kGiB + 5 * kMiB + 1;
  EXPECT_THAT(PlanTiles({bytes, HugePages::k1G}),
              ElementsAre(PageTile{PageKind::k1G, 3 * kGiB}, PageTile{PageKind::k2M, 6 * kMiB}));
  EXPECT_THAT(PlanTiles({bytes, HugePages::k2M}),
              ElementsAre(PageTile{PageKind::k2M, 3 * kGiB + 6 * kMiB}));
  EXPECT_THAT(PlanTiles({bytes, HugePages::kThp}),
              ElementsAre(PageTile{PageKind::kThp, 3 * kGiB + 6 * kMiB}));
  EXPECT_THAT(PlanTiles({bytes, HugePages::kOff}),
              ElementsAre(PageTile{PageKind::k4K, 3 * kGiB + 5 * kMiB + 4 * kKiB}));
}

TEST(PlanTiles, AutoTakesWhatThePoolsHave) {
  const uint64_t bytes = 3 * kGiB + 5 * kMiB;
  EXPECT_THAT(PlanTiles({bytes, HugePages::kAuto, HugePagesPolicy::kTry, 2, 100}),
              ElementsAre(PageTile{PageKind::k1G, 2 * kGiB}, PageTile{PageKind::k2M, 200 * kMiB},
                          PageTile{PageKind::kThp, 830 * kMiB}));
}

TEST(PlanTiles, TheLastPieceGoesIntoOneMorePageWhereThePoolHasIt) {
  const auto plan = [](uint64_t bytes, uint64_t free_1g, uint64_t free_2m) {
    return PlanTiles({bytes, HugePages::kAuto, HugePagesPolicy::kTry, free_1g, free_2m});
  };
  EXPECT_THAT(plan(5 * kMiB, 0, 3), ElementsAre(PageTile{PageKind::k2M, 6 * kMiB}));
  EXPECT_THAT(plan(5 * kMiB, 0, 2),
              ElementsAre(PageTile{PageKind::k2M, 4 * kMiB}, PageTile{PageKind::kThp, 2 * kMiB}));
  EXPECT_THAT(plan(kGiB + 1, 1, 1),
              ElementsAre(PageTile{PageKind::k1G, kGiB}, PageTile{PageKind::k2M, 2 * kMiB}));
  EXPECT_THAT(plan(2 * kMiB - 1, 1, 1), ElementsAre(PageTile{PageKind::k4K, 2 * kMiB}))
      << "smaller than a huge page";
}

TEST(PlanTiles, RequiredAutoStaysInThePools) {
  const auto plan = [](uint64_t bytes, uint64_t free_1g, uint64_t free_2m) {
    return PlanTiles({bytes, HugePages::kAuto, HugePagesPolicy::kRequire, free_1g, free_2m});
  };
  EXPECT_THAT(plan(kGiB + 1, 2, 1),
              ElementsAre(PageTile{PageKind::k1G, kGiB}, PageTile{PageKind::k2M, 2 * kMiB}));
  EXPECT_THAT(plan(kGiB + 1, 2, 0), ElementsAre(PageTile{PageKind::k1G, 2 * kGiB}))
      << "no 2M page for the rest, but one more 1G page";
  EXPECT_THAT(plan(kGiB + 2 * kMiB, 2, 1),
              ElementsAre(PageTile{PageKind::k1G, kGiB}, PageTile{PageKind::k2M, 2 * kMiB}));
  EXPECT_THAT(plan(4 * kMiB, 0, 0), ElementsAre(PageTile{PageKind::k2M, 4 * kMiB}))
      << "not to be had: the arena says so";
}

TEST(PlanTiles, NothingNeedsNoTiles) {
  for (const HugePages pages : kAllHugePages) {
    for (const HugePagesPolicy policy : kPolicies) {
      EXPECT_THAT(PlanTiles({0, pages, policy, 3, 3}), IsEmpty());
    }
  }
}

TEST(PageKind, NamesAndSizes) {
  EXPECT_EQ(PageBytes(PageKind::k4K), 4096u);
  EXPECT_EQ(PageBytes(PageKind::kThp), 2 * kMiB);
  EXPECT_EQ(PageBytes(PageKind::k2M), 2 * kMiB);
  EXPECT_EQ(PageBytes(PageKind::k1G), kGiB);
  EXPECT_EQ(NameOf(PageKind::kThp), "THP");
  EXPECT_EQ(NameOf(PageKind::k1G), "1G");
  EXPECT_TRUE(IsHugetlb(PageKind::k2M));
  EXPECT_FALSE(IsHugetlb(PageKind::kThp));
}

TEST(PageKind, OptionsParseBackFromTheirNames) {
  for (const HugePages pages : kAllHugePages) EXPECT_EQ(ParseHugePages(NameOf(pages)), pages);
  for (const HugePagesPolicy policy : kPolicies) {
    EXPECT_EQ(ParseHugePagesPolicy(NameOf(policy)), policy);
  }
  EXPECT_EQ(ParseHugePages("2m"), HugePages::k2M);
  EXPECT_EQ(ParseHugePages("4K"), std::nullopt);
  EXPECT_EQ(ParseHugePages(""), std::nullopt);
  EXPECT_EQ(ParseHugePages("1GB"), std::nullopt);
  EXPECT_EQ(ParseHugePagesPolicy("must"), std::nullopt);
}

}  // namespace
}  // namespace llmrun
