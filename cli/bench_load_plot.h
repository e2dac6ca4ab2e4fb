// Charts of bench-load as SVG files, drawn by gnuplot from scripts that carry their data and stay
// beside the pictures, so that they can be changed and drawn again.
// Threads: Single-thread. Failure: kUnavailable without gnuplot or when it refuses a script, kOs
// and kNoInput for a folder that cannot be written.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/output.h"
#include "loader/load_options.h"

namespace llmrun {

struct PlotData {
  std::vector<Json> rows;                           // LoadRow() of the table's combinations
  std::vector<std::vector<LoadProgress>> progress;  // of one load of each row
  std::vector<Json> sweep;                          // LoadRow() of the sweep's; may be empty
};

class Plotter {
 public:
  // Makes the folder; to be called before anything is measured.
  static Result<Plotter> Create(std::string folder);

  // rates_cold.svg (GB/s and the limit), over_time_cold.svg, tokens_cold.svg where tokens were
  // timed, the same for warm, and sweep.svg (depth x size of requests).
  Status Draw(const PlotData& data) const;

 private:
  Plotter(std::string gnuplot, std::string folder)
      : gnuplot_(std::move(gnuplot)), folder_(std::move(folder)) {}
  // `body`: everything but the terminal and the name of the output.
  Status DrawOne(const std::string& name, const std::string& body) const;

  std::string gnuplot_;
  std::string folder_;
};

}  // namespace llmrun
