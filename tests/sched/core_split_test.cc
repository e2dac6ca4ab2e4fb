#include "sched/core_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <random>
#include <vector>

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Cpus = std::vector<unsigned>;

Cpus CpuRange(unsigned begin, unsigned end) {
  Cpus cpus(end - begin);
  std::iota(cpus.begin(), cpus.end(), begin);
  return cpus;
}

TEST(SplitCores, OneGetsTheFirstItWants) {
  EXPECT_THAT(SplitCores({{{4, 2, 0, 6}, 3}}), ElementsAre(Cpus{4, 2, 0}));
  EXPECT_THAT(SplitCores({{{4, 2, 0, 6}, 9}}), ElementsAre(Cpus{4, 2, 0, 6}));
}

TEST(SplitCores, TwoOfTheSameListGetHalfEachInOnePiece) {
  EXPECT_THAT(SplitCores({{CpuRange(0, 8), 8}, {CpuRange(0, 8), 8}}),
              ElementsAre(CpuRange(0, 4), CpuRange(4, 8)));
}

TEST(SplitCores, ThreeOfEightCpus) {
  const CoreClaim all{CpuRange(0, 8), 8};
  EXPECT_THAT(SplitCores({all, all, all}),
              ElementsAre(CpuRange(0, 3), CpuRange(3, 6), CpuRange(6, 8)));
}

TEST(SplitCores, WhatOneDoesNotWantIsTheOthers) {
  EXPECT_THAT(SplitCores({{CpuRange(0, 8), 1}, {CpuRange(0, 8), 8}}),
              ElementsAre(CpuRange(0, 1), CpuRange(1, 8)));
  EXPECT_THAT(SplitCores({{CpuRange(0, 8), 8}, {CpuRange(0, 8), 1}, {CpuRange(0, 8), 2}}),
              ElementsAre(CpuRange(0, 5), CpuRange(5, 6), CpuRange(6, 8)));
}

TEST(SplitCores, DisjointListsDoNotMeet) {
  EXPECT_THAT(SplitCores({{{0, 1, 2}, 3}, {{65535, 9}, 2}}),
              ElementsAre(Cpus{0, 1, 2}, Cpus{65535, 9}));
}

TEST(SplitCores, EachKeepsToWhatItWouldPinFirst) {
  // Of two nodes of four, the first member prefers the second one.
  EXPECT_THAT(SplitCores({{{4, 5, 6, 7, 0, 1, 2, 3}, 8}, {CpuRange(0, 8), 8}}),
              ElementsAre(CpuRange(4, 8), CpuRange(0, 4)));
}

TEST(SplitCores, WhoHasAChoiceLeavesTheRestToWhoHasNone) {
  EXPECT_THAT(SplitCores({{CpuRange(0, 8), 4}, {CpuRange(0, 4), 4}}),
              ElementsAre(CpuRange(4, 8), CpuRange(0, 4)));
  // A chain: the last can only have 0, so the second takes 1 and the first 2.
  EXPECT_THAT(SplitCores({{{1, 2}, 1}, {{0, 1}, 1}, {{0}, 1}}),
              ElementsAre(Cpus{2}, Cpus{1}, Cpus{0}));
}

TEST(SplitCores, ListsThatOverlapInPart) {
  // 12 CPUs, of which 4 are in both lists: six each.
  EXPECT_THAT(SplitCores({{CpuRange(0, 8), 8}, {CpuRange(4, 12), 8}}),
              ElementsAre(CpuRange(0, 6), CpuRange(6, 12)));
}

TEST(SplitCores, MoreMembersThanCpusShareEvenly) {
  const CoreClaim both{{3, 5}, 2};
  EXPECT_THAT(SplitCores({both, both, both, both, both}),
              ElementsAre(Cpus{3}, Cpus{5}, Cpus{3}, Cpus{5}, Cpus{3}));
  // The last can only share CPU 3: the one before it shares the other.
  EXPECT_THAT(SplitCores({both, both, both, {{3}, 1}}),
              ElementsAre(Cpus{3}, Cpus{5}, Cpus{5}, Cpus{3}));
}

TEST(SplitCores, WhoAsksForNothingGetsNothing) {
  EXPECT_THAT(SplitCores({}), IsEmpty());
  EXPECT_THAT(SplitCores({{{1, 2}, 0}, {{}, 4}, {{1, 2}, 2}}),
              ElementsAre(Cpus{}, Cpus{}, Cpus{1, 2}));
}

TEST(SplitCores, ACpuNamedTwiceCountsOnce) {
  EXPECT_THAT(SplitCores({{{1, 1, 1, 2, 1}, 5}, {{1, 2}, 2}}), ElementsAre(Cpus{1}, Cpus{2}));
}

std::vector<CoreClaim> RandomClaims(std::mt19937& random) {
  std::vector<CoreClaim> claims(1 + random() % 5);
  for (CoreClaim& claim : claims) {
    claim.cpus = CpuRange(0, 7);
    std::ranges::shuffle(claim.cpus, random);
    claim.cpus.resize(1 + random() % 7);
    claim.wanted = 1 + static_cast<unsigned>(random() % 8);
  }
  return claims;
}

// Whether these counts can be had, no CPU twice: by Hall's theorem, each set of members must find
// enough CPUs in their lists together.
bool CanBeHad(const std::vector<CoreClaim>& claims, const std::vector<size_t>& counts) {
  for (unsigned set = 1; set < 1U << claims.size(); ++set) {
    unsigned cpus = 0;
    size_t needed = 0;
    for (size_t i = 0; i < claims.size(); ++i) {
      if ((set >> i & 1) == 0) continue;
      for (const unsigned cpu : claims[i].cpus) cpus |= 1U << cpu;
      needed += counts[i];
    }
    if (needed > static_cast<size_t>(std::popcount(cpus))) return false;
  }
  return true;
}

std::vector<size_t> CountsByTurns(const std::vector<CoreClaim>& claims) {
  std::vector<size_t> counts(claims.size());
  for (size_t turn = 0; turn < 8; ++turn) {
    for (size_t i = 0; i < claims.size(); ++i) {
      if (counts[i] < turn || counts[i] == claims[i].wanted) continue;
      ++counts[i];
      if (!CanBeHad(claims, counts)) --counts[i];
    }
  }
  return counts;
}

TEST(SplitCores, CountsAreThoseOfTurnsWhateverTheListsAre) {
  std::mt19937 random(3);
  for (int round = 0; round < 600; ++round) {
    const std::vector<CoreClaim> claims = RandomClaims(random);
    const std::vector<Cpus> shares = SplitCores(claims);
    ASSERT_EQ(shares.size(), claims.size());
    const std::vector<size_t> counts = CountsByTurns(claims);
    std::map<unsigned, size_t> uses;
    for (size_t i = 0; i < claims.size(); ++i) {
      // Whom turns leave with none shares a CPU.
      ASSERT_EQ(shares[i].size(), std::max<size_t>(counts[i], 1)) << round << ' ' << i;
      for (const unsigned cpu : shares[i]) {
        EXPECT_THAT(claims[i].cpus, testing::Contains(cpu));
        if (counts[i] > 0) ++uses[cpu];
      }
    }
    for (const auto& [cpu, members] : uses) ASSERT_EQ(members, 1U) << round << ' ' << cpu;
    EXPECT_EQ(SplitCores(claims), shares);
  }
}

TEST(SplitCores, EachInOrderHasTheFirstThatTheLaterCanSpare) {
  std::mt19937 random(4);
  for (int round = 0; round < 300; ++round) {
    std::vector<CoreClaim> claims = RandomClaims(random);
    const std::vector<Cpus> shares = SplitCores(claims);
    const std::vector<size_t> counts = CountsByTurns(claims);
    std::vector<size_t> left = counts;
    for (size_t i = 0; i < claims.size(); ++i) {
      if (counts[i] == 0) continue;
      Cpus expected;
      for (const unsigned cpu : Cpus(claims[i].cpus)) {
        if (expected.size() == counts[i]) break;
        // Taken: out of all lists, with one less to find for this member.
        std::vector<CoreClaim> rest = claims;
        if (std::ranges::find(rest[i].cpus, cpu) == rest[i].cpus.end()) continue;
        for (CoreClaim& claim : rest) std::erase(claim.cpus, cpu);
        --left[i];
        if (CanBeHad(rest, left)) {
          expected.push_back(cpu);
          claims = std::move(rest);
        } else {
          ++left[i];
        }
      }
      ASSERT_EQ(shares[i], expected) << round << ' ' << i;
    }
  }
}

TEST(SplitCores, AFullTableOfTheLargestLists) {
  const std::vector<CoreClaim> claims(64, {CpuRange(0, 1024), 1024});
  const std::vector<Cpus> shares = SplitCores(claims);
  for (unsigned i = 0; i < 64; ++i) EXPECT_EQ(shares[i], CpuRange(16 * i, 16 * i + 16)) << i;
}

}  // namespace
}  // namespace llmrun
