// What bench-load reports: one row for each combination.
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "cli/bench_load_limits.h"
#include "cli/bench_load_measure.h"
#include "cli/bench_load_plan.h"
#include "cli/bench_load_tokens.h"
#include "cli/output.h"

namespace llmrun {

struct Measurement {
  Combination combination;
  std::vector<LoadSample> samples;  // one a round
  TokenTimes tokens;                // empty unless asked for

  void KeepRounds(size_t rounds);  // drops those behind
};

// Fields in the order of docs/BENCHMARKS.md#how-loading-is-measured. `limit` and `fresh` (of
// copying into new memory) have as many samples as the measurement, or are nullptr. Rates are bytes
// over the median time; percent_of_limit is the median over the rounds of that round's rate of
// reading over that round's limit.
Json LoadRow(const Measurement& measurement, const LimitSeries* limit, const LimitSeries* fresh,
             uint64_t xxh3);
// Those of a Markdown table.
std::vector<std::string> MarkdownColumns(bool first_token);

Json DescribeModelFile(const TensorIndex& index);
uint64_t ModelFileBytes(const TensorIndex& index);

}  // namespace llmrun
