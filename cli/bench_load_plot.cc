#include "cli/bench_load_plot.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/units.h"
#include "cli/child_process.h"

namespace llmrun {
namespace {

// Intervals shorter than this say more about the clock than about the load.
constexpr double kLeastInterval = 0.01;

// A string of gnuplot's: a quote inside is doubled.
std::string GnuplotString(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
  return quoted + "'";
}

std::string BarLabel(const Json& row) {
  std::string label = row.at("loader").get<std::string>();
  if (row.at("hugepages") != "-") label += " " + row.at("hugepages").get<std::string>();
  if (row.at("threads") != 0) label += fmt::format(" x{}", row.at("threads").get<int>());
  return label;
}

double NumberOf(const Json& row, const char* field) {
  return row.at(field).is_number() ? row.at(field).get<double>() : 0;
}

std::string Bars(const char* title, const char* unit) {
  return fmt::format(
      "set title '{}'\nset ylabel '{}'\nset yrange [0:*]\nset grid ytics\n"
      "set style data histograms\nset style fill solid 0.85 noborder\nset boxwidth 0.85 relative\n"
      "set xtics rotate by -30 scale 0\nset key outside bottom center horizontal\n",
      title, unit);
}

std::string RatesScript(const std::vector<const Json*>& rows, const std::string& cache) {
  std::string data;
  bool limited = false;
  for (const Json* row : rows) {
    limited = limited || row->at("limit").is_string();
    data += fmt::format("\"{}\" {} {} {}\n", BarLabel(*row), NumberOf(*row, "read_gb_per_s"),
                        NumberOf(*row, "gb_per_s"), NumberOf(*row, "limit_gb_per_s"));
  }
  const std::string limit = cache == "cold" ? "the device (fio)" : "copying in memory";
  std::string script = "$data << EOD\n" + data + "EOD\n" +
                       Bars(("Loading, " + cache + " (medians)").c_str(), "GB/s");
  script +=
      "plot $data using 2:xtic(1) title 'reading' lc rgb '#1f77b4', \\\n"
      "     '' using 3 title 'with populating pages' lc rgb '#9ecae1'";
  if (limited) {
    script += fmt::format(
        ", \\\n     '' using 0:4:(0.46) with xerrorbars pt -1 lw 3 lc rgb '#d62728' title '{}'",
        limit);
  }
  return script + "\n";
}

std::string TokensScript(const std::vector<const Json*>& rows, const std::string& cache) {
  std::string data;
  for (const Json* row : rows) {
    const double first = NumberOf(*row, "first_token_s");
    data += fmt::format("\"{}\" {} {} {} {}\n", BarLabel(*row), first,
                        NumberOf(*row, "tenth_token_s") - first, NumberOf(*row, "read_alone_s"),
                        NumberOf(*row, "compute_alone_s"));
  }
  return "$data << EOD\n" + data + "EOD\n" +
         Bars(("Time to text, " + cache + " (medians)").c_str(), "seconds") +
         "set style histogram rowstacked\n"
         "plot $data using 2:xtic(1) title 'to the first token' lc rgb '#1f77b4', \\\n"
         "     '' using 3 title 'to the tenth' lc rgb '#9ecae1', \\\n"
         "     '' using 0:4:(0.46) with xerrorbars pt -1 lw 3 lc rgb '#d62728' title 'loading "
         "alone', \\\n"
         "     '' using 0:5:(0.46) with xerrorbars pt -1 lw 3 lc rgb '#2ca02c' title 'computing "
         "the prompt alone'\n";
}

// "seconds GB/s" for each interval, named by its end.
std::string RatesOverTime(const std::vector<LoadProgress>& progress) {
  std::string lines = "0 0\n";
  LoadProgress last;
  for (const LoadProgress& now : progress) {
    const double seconds = now.seconds - last.seconds;
    if (seconds < kLeastInterval) continue;
    lines += fmt::format("{} {}\n", now.seconds,
                         static_cast<double>(now.bytes_done - last.bytes_done) / seconds * 1e-9);
    last = now;
  }
  return lines;
}

std::string OverTimeScript(const PlotData& data, const std::string& cache) {
  std::string blocks;
  std::string plots;
  for (size_t i = 0; i < data.rows.size(); ++i) {
    if (data.rows[i].at("cache") != cache) continue;
    blocks += fmt::format("$load{} << EOD\n{}EOD\n", i, RatesOverTime(data.progress[i]));
    plots += fmt::format("{}$load{} using 1:2 with fsteps lw 2 title {}",
                         plots.empty() ? "plot " : ", \\\n     ", i,
                         GnuplotString(BarLabel(data.rows[i])));
  }
  return blocks +
         fmt::format(
             "set title 'One load of each, {}: rate over time'\nset xlabel 'seconds since the load "
             "began'\nset ylabel 'GB/s'\nset yrange [0:*]\nset grid\nset key outside right top\n",
             cache) +
         plots + "\n";
}

std::string SweepScript(const std::vector<Json>& sweep) {
  std::set<uint64_t> depths;
  std::set<uint64_t> chunks;
  for (const Json& row : sweep) {
    depths.insert(row.at("io_depth").get<uint64_t>());
    chunks.insert(row.at("io_chunk_bytes").get<uint64_t>());
  }
  const auto tics = [](const std::set<uint64_t>& values, bool bytes) {
    std::string text;
    for (const uint64_t value : values) {
      text += fmt::format("{}'{}' {}", text.empty() ? "" : ", ",
                          bytes ? fmt::format("{} KiB", value / kKiB) : std::to_string(value),
                          std::distance(values.begin(), values.find(value)));
    }
    return "(" + text + ")";
  };
  std::string data;
  for (const Json& row : sweep) {
    const auto x = chunks.find(row.at("io_chunk_bytes").get<uint64_t>());
    const auto y = depths.find(row.at("io_depth").get<uint64_t>());
    data += fmt::format("{} {} {}\n", std::distance(chunks.begin(), x),
                        std::distance(depths.begin(), y), NumberOf(row, "read_gb_per_s"));
  }
  return "$data << EOD\n" + data + "EOD\n" +
         fmt::format(
             "set title 'io_uring, cold: GB/s of the reads'\nset xlabel 'bytes a request'\n"
             "set ylabel 'requests in flight'\nset xtics {}\nset ytics {}\n"
             "set xrange [-0.5:{}.5]\nset yrange [-0.5:{}.5]\nset cblabel 'GB/s'\n"
             "set palette defined (0 '#f7fbff', 1 '#6baed6', 2 '#2171b5')\nset tics scale 0\n"
             "plot $data using 1:2:3 with image pixels notitle, \\\n"
             "     '' using 1:2:(sprintf('%.2f', $3)) with labels notitle\n",
             tics(chunks, true), tics(depths, false), chunks.size() - 1, depths.size() - 1);
}

}  // namespace

Result<Plotter> Plotter::Create(std::string folder) {
  const std::optional<std::string> gnuplot = FindProgram("gnuplot");
  if (!gnuplot) {
    return MakeFixableError(ErrorCode::kUnavailable, "apt install gnuplot-nox",
                            "--plot: gnuplot not found");
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return OsError(error.value(), folder);
  return Plotter(*gnuplot, std::move(folder));
}

Status Plotter::DrawOne(const std::string& name, const std::string& body) const {
  const std::string path = folder_ + "/" + name;
  {
    std::ofstream script(path + ".gp");
    script << "set terminal svg size 960,540 dynamic noenhanced background rgb 'white' font "
              "'sans-serif,13'\n"
           << "set output " << GnuplotString(path + ".svg") << "\n"
           << body;
    script.flush();
    if (!script) return OsError(EIO, path + ".gp");
  }
  ASSIGN_OR_RETURN(const ChildResult result, RunChild({gnuplot_, path + ".gp"}));
  if (result.exit_code != 0) {
    return MakeError(ErrorCode::kUnavailable, "gnuplot {}.gp: {}", path, WhyChildFailed(result));
  }
  Note("plot   {}.svg", path);
  return {};
}

Status Plotter::Draw(const PlotData& data) const {
  for (const std::string cache : {"cold", "warm"}) {
    std::vector<const Json*> rows;
    bool tokens = false;
    for (const Json& row : data.rows) {
      if (row.at("cache") != cache) continue;
      rows.push_back(&row);
      tokens = tokens || row.at("first_token_s").is_number();
    }
    if (rows.empty()) continue;
    RETURN_IF_ERROR(DrawOne("rates_" + cache, RatesScript(rows, cache)));
    RETURN_IF_ERROR(DrawOne("over_time_" + cache, OverTimeScript(data, cache)));
    if (tokens) RETURN_IF_ERROR(DrawOne("tokens_" + cache, TokensScript(rows, cache)));
  }
  if (!data.sweep.empty()) RETURN_IF_ERROR(DrawOne("sweep", SweepScript(data.sweep)));
  return {};
}

}  // namespace llmrun
