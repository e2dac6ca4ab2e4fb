// What bench-load is to measure: every combination of loader, pages, state of the cache and I/O
// threads, each once, and the sweep over depth and size of requests.
// Threads: pure functions. Failure: kUsage, with what may be typed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/common_options.h"
#include "loader/load_options.h"

namespace llmrun {

struct BenchLoadOptions {
  ModelOptions model;
  std::string loaders = "all";
  std::string hugepages = "auto";
  std::string cache = "cold";  // cold, warm, both
  std::string threads = "0";
  std::string io_polls = "none";
  int rounds = 5;
  std::string format = "md";
  bool sweep = false;
  bool hash = false;  // every combination once more, its bytes hashed as they arrive
  bool first_token = false;
  int prompt_tokens = 16;
  std::string plot_dir;  // empty: no plots
};

struct Combination {
  LoadOptions load;
  bool cold = true;
  bool sweep = false;  // one of the sweep's, not of the table's
};

Result<std::vector<Combination>> PlanCombinations(const BenchLoadOptions& options);

// Whether a load reads or copies the weights; `resident` only attaches to those that are there.
bool MovesBytes(const Combination& combination);
// Whether a load takes pages of the kind that is asked for: mmap has those of the page cache,
// `resident` those of its store.
bool TakesPages(const Combination& combination);
// "-" for those that take none.
std::string_view HugePagesLabel(const Combination& combination);
// "io_uring thp cold", with threads, depth and size of requests where they were asked for.
std::string CombinationLabel(const Combination& combination);

}  // namespace llmrun
