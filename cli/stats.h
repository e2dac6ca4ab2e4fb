// Medians and spreads of repeated measurements.
// Threads: pure functions. Requires: at least one sample.
#pragma once

#include <vector>

namespace llmrun {

struct Stats {
  double median = 0;
  double min = 0;
  double max = 0;
  double mean = 0;
  double stddev = 0;  // of the sample (n - 1); 0 for one sample
  double iqr = 0;     // third quartile less the first, linear between samples
};
Stats Summarize(std::vector<double> samples);

}  // namespace llmrun
