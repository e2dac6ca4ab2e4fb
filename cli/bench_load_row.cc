#include "cli/bench_load_row.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/report.h"
#include "cli/stats.h"

namespace llmrun {
namespace {

// A value of each sample.
template <typename Function>
std::vector<double> Each(const std::vector<LoadSample>& samples, Function value) {
  std::vector<double> values;
  for (const LoadSample& sample : samples) values.push_back(value(sample));
  return values;
}

template <typename Function>
double MedianOf(const std::vector<LoadSample>& samples, Function value) {
  return Summarize(Each(samples, value)).median;
}

double InGib(uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(kGiB); }

double Rate(uint64_t bytes, double seconds) {
  return seconds > 0 ? static_cast<double>(bytes) / seconds * 1e-9 : 0;
}

std::string PagesGot(const Residency& r) {
  std::vector<std::string> parts;
  const std::pair<const char*, uint64_t> kinds[] = {
      {"1G", r.bytes_1g}, {"2M", r.bytes_2m}, {"THP", r.bytes_thp}, {"4K", r.bytes_4k}};
  for (const auto& [name, bytes] : kinds) {
    if (bytes > 0) parts.push_back(fmt::format("{} {}", FormatBytes(bytes), name));
  }
  return fmt::format("{}", fmt::join(parts, " + "));
}

void AddTimes(const std::vector<LoadSample>& samples, Json* row) {
  const uint64_t bytes = samples.back().report.read_bytes;
  const Stats time = Summarize(Each(samples, [](const auto& s) { return s.report.seconds; }));
  const double read_s = MedianOf(samples, [](const auto& s) { return s.report.read_seconds; });
  (*row)["rounds"] = samples.size();
  (*row)["median_s"] = time.median;
  (*row)["iqr_s"] = time.iqr;
  (*row)["min_s"] = time.min;
  (*row)["gb_per_s"] = Rate(bytes, time.median);
  (*row)["read_gb_per_s"] = Rate(bytes, read_s);
  (*row)["read_s"] = read_s;
  (*row)["populate_s"] = MedianOf(samples, [](const auto& s) { return s.report.populate_seconds; });
}

// The rates of each round over the limit of that round; `seconds` says of what.
Stats OverLimit(const std::vector<LoadSample>& samples, const LimitSeries& limit,
                double LoadReport::*seconds) {
  std::vector<double> ratios;
  for (size_t round = 0; round < samples.size(); ++round) {
    const LoadReport& report = samples[round].report;
    ratios.push_back(Rate(report.read_bytes, report.*seconds) /
                     (limit.bytes_per_second[round] * 1e-9));
  }
  return Summarize(ratios);
}

void AddLimit(const std::vector<LoadSample>& samples, const LimitSeries* limit, Json* row) {
  for (const char* name :
       {"limit", "limit_gb_per_s", "percent_of_limit", "ratio_iqr", "total_percent_of_limit"}) {
    (*row)[name] = nullptr;
  }
  if (limit == nullptr) return;
  const Stats ratio = OverLimit(samples, *limit, &LoadReport::read_seconds);
  (*row)["limit"] = NameOf(limit->kind);
  (*row)["limit_gb_per_s"] = Summarize(limit->bytes_per_second).median * 1e-9;
  (*row)["percent_of_limit"] = 100 * ratio.median;
  (*row)["ratio_iqr"] = ratio.iqr;
  (*row)["total_percent_of_limit"] = 100 * OverLimit(samples, *limit, &LoadReport::seconds).median;
}

// Of the whole load, against copying into new memory.
void AddFreshLimit(const std::vector<LoadSample>& samples, const LimitSeries* fresh, Json* row) {
  (*row)["fresh_limit_gb_per_s"] = nullptr;
  (*row)["total_percent_of_fresh_limit"] = nullptr;
  if (fresh == nullptr) return;
  (*row)["fresh_limit_gb_per_s"] = Summarize(fresh->bytes_per_second).median * 1e-9;
  (*row)["total_percent_of_fresh_limit"] =
      100 * OverLimit(samples, *fresh, &LoadReport::seconds).median;
}

void AddCosts(const std::vector<LoadSample>& samples, Json* row) {
  const LoadReport& last = samples.back().report;
  const double gib = InGib(last.read_bytes);
  const auto faults = [](const LoadSample& s) {
    return static_cast<double>(s.report.minor_faults + s.report.major_faults);
  };
  (*row)["cpu_s_per_gib"] =
      MedianOf(samples, [](const auto& s) { return s.report.cpu_seconds; }) / gib;
  (*row)["stolen_cpu_s_per_gib"] = nullptr;
  if (last.stolen_seconds) {
    (*row)["stolen_cpu_s_per_gib"] =
        MedianOf(samples, [](const auto& s) { return s.report.stolen_seconds.value_or(0); }) / gib;
  }
  (*row)["minor_faults"] =
      MedianOf(samples, [](const auto& s) { return static_cast<double>(s.report.minor_faults); });
  (*row)["major_faults"] =
      MedianOf(samples, [](const auto& s) { return static_cast<double>(s.report.major_faults); });
  (*row)["faults_per_gib"] = MedianOf(samples, faults) / gib;
  (*row)["copies"] = last.copies;
  (*row)["peak_memory_ratio"] = nullptr;
  for (const LoadSample& sample : samples) {
    if (!sample.peak_bytes) return;
  }
  const double peak =
      MedianOf(samples, [](const auto& s) { return static_cast<double>(*s.peak_bytes); });
  (*row)["peak_memory_ratio"] =
      std::round(1000 * peak / static_cast<double>(last.file_bytes)) / 1000;
}

// First tokens over the longer of reading alone and computing alone, round by round.
std::vector<double> StreamingRatios(const std::vector<LoadSample>& samples,
                                    const TokenTimes& tokens) {
  std::vector<double> ratios;
  for (size_t round = 0; round < tokens.first.size(); ++round) {
    ratios.push_back(tokens.first[round] /
                     std::max(samples[round].report.seconds, tokens.compute_alone[round]));
  }
  return ratios;
}

void AddTokens(const std::vector<LoadSample>& samples, const TokenTimes& tokens, Json* row) {
  for (const char* name : {"first_token_s", "tenth_token_s", "read_alone_s", "compute_alone_s",
                           "streaming_ratio", "streaming_ratio_iqr", "busy_share_while_loading",
                           "samples_first_token_s", "samples_compute_alone_s"}) {
    (*row)[name] = nullptr;
  }
  if (tokens.first.empty()) return;
  const Stats ratio = Summarize(StreamingRatios(samples, tokens));
  (*row)["first_token_s"] = Summarize(tokens.first).median;
  (*row)["tenth_token_s"] = Summarize(tokens.tenth).median;
  (*row)["read_alone_s"] = row->at("median_s");
  (*row)["compute_alone_s"] = Summarize(tokens.compute_alone).median;
  (*row)["streaming_ratio"] = ratio.median;
  (*row)["streaming_ratio_iqr"] = ratio.iqr;
  (*row)["samples_first_token_s"] = tokens.first;
  (*row)["samples_compute_alone_s"] = tokens.compute_alone;
  (*row)["busy_share_while_loading"] = Summarize(tokens.busy_share).median;
}

// The worst of the rounds: most for cold loads, least for warm ones.
void AddCacheState(const Measurement& m, Json* row) {
  uint64_t worst = m.samples.front().cache.cached_bytes;
  bool verified = true;
  for (const LoadSample& sample : m.samples) {
    const uint64_t bytes = sample.cache.cached_bytes;
    worst = m.combination.cold ? std::max(worst, bytes) : std::min(worst, bytes);
    verified = verified && sample.cache.verified;
  }
  (*row)["cached_bytes_before"] = worst;
  (*row)[m.combination.cold ? "cold_verified" : "warm_verified"] = verified;
  (*row)[m.combination.cold ? "warm_verified" : "cold_verified"] = nullptr;
}

}  // namespace

void Measurement::KeepRounds(size_t rounds) {
  samples.erase(samples.begin() + static_cast<ptrdiff_t>(std::min(rounds, samples.size())),
                samples.end());
  for (auto* of : {&tokens.first, &tokens.tenth, &tokens.compute_alone, &tokens.busy_share}) {
    of->resize(std::min(rounds, of->size()));
  }
}

Json LoadRow(const Measurement& measurement, const LimitSeries* limit, const LimitSeries* fresh,
             uint64_t xxh3) {
  const Combination& c = measurement.combination;
  const LoadReport& last = measurement.samples.back().report;
  Json row;
  row["loader"] = NameOf(c.load.loader);
  row["used"] = last.loader;
  if (last.io_poll != IoPoll::kNone) {
    row["used"] = fmt::format("{} {}", last.loader, NameOf(last.io_poll));
  }
  row["hugepages"] = HugePagesLabel(c);
  row["cache"] = c.cold ? "cold" : "warm";
  row["threads"] = c.load.io_threads;
  row["hashed"] = c.load.hash;
  row["io_depth"] = c.load.queue_depth;
  row["io_chunk_bytes"] = c.load.chunk_bytes;
  row["io_poll"] = NameOf(c.load.io_poll);
  row["pages"] = PagesGot(last.residency);
  AddTimes(measurement.samples, &row);
  AddLimit(measurement.samples, limit, &row);
  AddFreshLimit(measurement.samples, fresh, &row);
  AddCosts(measurement.samples, &row);
  row["first_layer_s"] = MedianOf(
      measurement.samples, [](const auto& s) { return s.report.time_to_first_layer_seconds; });
  row["first_pass_s"] = MedianOf(measurement.samples,
                                 [](const auto& s) { return s.report.seconds + s.pass_seconds; });
  AddTokens(measurement.samples, measurement.tokens, &row);
  row["xxh3"] = FormatHash(xxh3);
  row["read_bytes"] = last.read_bytes;
  AddCacheState(measurement, &row);
  Json fallbacks = Json::array();
  for (const Fallback& fallback : last.fallbacks) fallbacks.push_back(FallbackJson(fallback));
  row["fallbacks"] = std::move(fallbacks);
  row["samples_s"] = Each(measurement.samples, [](const auto& s) { return s.report.seconds; });
  row["samples_read_s"] =
      Each(measurement.samples, [](const auto& s) { return s.report.read_seconds; });
  return row;
}

std::vector<std::string> MarkdownColumns(bool first_token) {
  std::vector<std::string> columns = {"loader",           "used",
                                      "hugepages",        "cache",
                                      "threads",          "pages",
                                      "median_s",         "iqr_s",
                                      "gb_per_s",         "read_gb_per_s",
                                      "populate_s",       "limit_gb_per_s",
                                      "percent_of_limit", "ratio_iqr",
                                      "cpu_s_per_gib",    "faults_per_gib",
                                      "copies",           "peak_memory_ratio",
                                      "first_layer_s",    "first_pass_s"};
  if (first_token) {
    for (const char* name : {"first_token_s", "tenth_token_s", "streaming_ratio"}) {
      columns.emplace_back(name);
    }
  }
  columns.emplace_back("cold_verified");
  columns.emplace_back("xxh3");
  return columns;
}

uint64_t ModelFileBytes(const TensorIndex& index) {
  uint64_t bytes = 0;
  for (const GgufFile& file : index.files()) bytes += file.file_bytes;
  return bytes;
}

Json DescribeModelFile(const TensorIndex& index) {
  Json paths = Json::array();
  for (const GgufFile& file : index.files()) paths.push_back(file.label);
  return {{"paths", paths},
          {"bytes", ModelFileBytes(index)},
          {"tensor_bytes", index.total_bytes()},
          {"tensors", index.tensors().size()}};
}

}  // namespace llmrun
