#include "model/row_strips.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <tuple>
#include <vector>

namespace llmrun {
namespace {

using testing::ElementsAre;
using RowRun = std::tuple<size_t, int64_t, int64_t>;  // matrix, first row, behind the last

// A matrix whose rows lie in pieces, of these numbers of rows, on node 0, 1, ...
struct Rows {
  std::vector<TensorPiece> pieces;
  WeightMatrix matrix;

  explicit Rows(const std::vector<int64_t>& rows_by_node) {
    for (const int64_t rows : rows_by_node) {
      TensorPiece piece;
      piece.view.dims[1] = static_cast<uint64_t>(rows);
      piece.row_begin = static_cast<uint64_t>(matrix.rows);
      piece.node = static_cast<unsigned>(pieces.size());
      pieces.push_back(piece);
      matrix.rows += rows;
    }
    matrix.pieces = pieces;
  }
};

std::vector<RowRun> RunsOf(const RowStrips& strips, Range piece) {
  std::vector<RowRun> runs;
  strips.ForEach(
      piece, [&](size_t matrix, Range rows) { runs.emplace_back(matrix, rows.begin, rows.end); });
  return runs;
}

TEST(RowStrips, WithoutGroupsOneMatrixAfterTheOther) {
  const Rows a({32});
  const Rows b({16});
  const RowStrips strips({{&a.matrix}, {&b.matrix}});
  EXPECT_THAT(RunsOf(strips, {0, 48}), ElementsAre(RowRun{0, 0, 32}, RowRun{1, 0, 16}));
  EXPECT_THAT(RunsOf(strips, {24, 40}), ElementsAre(RowRun{0, 24, 32}, RowRun{1, 0, 8}));
}

// Two heads of the cache, two of queries to each.
TEST(RowStrips, OneGroupAfterTheOther) {
  const Rows q({64});
  const Rows k({32});
  const Rows v({32});
  const RowStrips strips({{&q.matrix, 32}, {&k.matrix, 16}, {&v.matrix, 16}});
  EXPECT_THAT(RunsOf(strips, {0, 128}),
              ElementsAre(RowRun{0, 0, 32}, RowRun{1, 0, 16}, RowRun{2, 0, 16}, RowRun{0, 32, 64},
                          RowRun{1, 16, 32}, RowRun{2, 16, 32}));
  const StepPlan plan = strips.Deal(Team({std::nullopt, std::nullopt}, {1, 1}), 3, 16);
  EXPECT_EQ(plan.total, 128);
  EXPECT_EQ(plan.homes[0].end, 64) << "a whole group each";
}

TEST(RowStrips, NodesComeBeforeGroups) {
  const Rows q({48, 16});
  const Rows k({16, 16});
  const Rows v({32});  // too few to be dealt out: lies on one node
  const RowStrips strips({{&q.matrix, 32}, {&k.matrix, 16}, {&v.matrix, 16}});
  const std::vector<RowRun> all = RunsOf(strips, {0, 128});
  EXPECT_THAT(std::vector<RowRun>(all.end() - 2, all.end()),
              ElementsAre(RowRun{0, 48, 64}, RowRun{1, 16, 32}))
      << "those of node 1 are the last";
  EXPECT_EQ(all.front(), (RowRun{0, 0, 32}));
  EXPECT_EQ(all.size(), 7U);
}

}  // namespace
}  // namespace llmrun
