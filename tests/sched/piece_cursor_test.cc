#include "sched/piece_cursor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "sched/native_waiting.h"

namespace llmrun {
namespace {

std::vector<Range> AllPieces(Range home, int64_t grain) {
  BasicPieceCursor<NativeWaiting> cursor;
  std::vector<Range> pieces;
  while (const auto piece = cursor.Take(1, home, grain)) pieces.push_back(*piece);
  return pieces;
}

TEST(PieceCursor, PiecesFollowEachOtherAndBecomeSmaller) {
  for (int64_t size : {1, 16, 17, 64, 1000, 1024, 2816, 5632}) {
    const Range home{96, 96 + size};
    int64_t at = home.begin;
    int64_t longest = size;
    for (const Range& piece : AllPieces(home, 16)) {
      EXPECT_EQ(piece.begin, at);
      EXPECT_GT(piece.size(), 0);
      at = piece.end;
      EXPECT_LE(piece.size(), longest + 48) << size;  // the next may end on four grains again
      longest = piece.size();
    }
    EXPECT_EQ(at, home.end) << size;
  }
}

// Whoever multiplies many tokens takes 64 rows at a time.
TEST(PieceCursor, PiecesOfFourGrainsEndAtMultiplesOfFour) {
  constexpr int64_t kGrain = 16;
  for (int64_t grains : {4, 7, 12, 13, 60, 64, 88, 176, 177}) {
    const Range home{32, 32 + grains * kGrain};
    for (const Range& piece : AllPieces(home, kGrain)) {
      if (piece.size() < 4 * kGrain || piece.end == home.end) continue;
      EXPECT_EQ((piece.end - home.begin) % (4 * kGrain), 0) << grains;
    }
  }
  EXPECT_EQ(AllPieces({0, 1024}, kGrain).front().end, 320) << "a third of 64 grains, 21, is 20";
}

TEST(PieceCursor, AStepThatIsOverHasNoPieces) {
  BasicPieceCursor<NativeWaiting> cursor;
  EXPECT_TRUE(cursor.Take(2, {0, 10}, 1).has_value());
  EXPECT_FALSE(cursor.Take(1, {0, 10}, 1).has_value());
  EXPECT_EQ(cursor.Take(3, {0, 10}, 1)->begin, 0);
}

}  // namespace
}  // namespace llmrun
