// `llm-run bench-load`: every combination is measured once a round, what is reported fits together,
// and what cannot be had (fio, gnuplot) is said. Times are never asserted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using BenchJson = nlohmann::json;

// Without the programs that measure and draw.
const std::vector<std::pair<std::string, std::string>> kNoTools = {{"PATH", "/nonexistent"}};

const std::string& SmallModel() {
  static const std::string path = [] {
    std::string file = TempPath("bench-load.gguf");
    const ProcessResult result = Llm({"synth", "--shape", "256:512:2:4:2:512", "--type", "Q8_0",
                                      "--seed", "1", "--force", file});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return file;
  }();
  return path;
}

ProcessResult LoadBenchRun(std::vector<std::string> args, bool tools = false) {
  args.insert(args.begin(), {"bench-load", "-m", SmallModel()});
  return Llm(args, tools ? std::vector<std::pair<std::string, std::string>>() : kNoTools);
}

BenchJson LoadBenchJson(std::vector<std::string> args, bool tools = false) {
  args.insert(args.end(), {"-o", "json"});
  const ProcessResult result = LoadBenchRun(std::move(args), tools);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  BenchJson document = BenchJson::parse(result.out, nullptr, false);
  EXPECT_TRUE(document.is_object()) << result.out;
  return document;
}

TEST(BenchLoad, EveryCombinationOnceAndTheSameBytes) {
  const BenchJson document = LoadBenchJson(
      {"--hugepages", "off,thp,off", "--threads", "0,2", "--cache", "both", "-r", "2"});
  std::set<std::string> seen;
  for (const BenchJson& row : document["rows"]) {
    std::ostringstream name;
    name << row["loader"] << row["hugepages"] << row["cache"] << row["threads"];
    EXPECT_TRUE(seen.insert(name.str()).second) << name.str();
    EXPECT_EQ(row["rounds"], 2);
    EXPECT_EQ(row["samples_s"].size(), 2U);
    EXPECT_EQ(row["xxh3"], document["rows"][0]["xxh3"]);
  }
  // In each state of the cache: read and splice with two kinds of pages and two numbers of threads,
  // io_uring with two kinds of pages, mmap with two numbers of threads.
  EXPECT_EQ(seen.size(), 2U * (2 * 2 * 2 + 2 + 2));
}

TEST(BenchLoad, ResidentRowsAttachToTheStoreThatIsThere) {
  const std::string dir = "/dev/shm/llm-run-test-bench-" + std::to_string(getpid());
  const std::vector<std::pair<std::string, std::string>> in_dir = {{"LLMRUN_RESIDENT_DIR", dir}};
  const std::vector<std::string> bench = {
      "bench-load", "-m", SmallModel(), "--loaders", "read,resident", "--cache",
      "both",       "-r", "2",          "-o",        "json"};
  const ProcessResult none = Llm(bench, in_dir);
  EXPECT_NE(none.exit_code, 0);
  EXPECT_THAT(none.err, HasSubstr("no weights were left resident in " + dir));
  EXPECT_THAT(none.err, HasSubstr("llm-run resident load -m"));

  ASSERT_EQ(Llm({"resident", "load", "-m", SmallModel()}, in_dir).exit_code, 0);
  const ProcessResult result = Llm(bench, in_dir);
  ASSERT_EQ(Llm({"resident", "drop", "-m", SmallModel()}, in_dir).exit_code, 0);
  std::filesystem::remove_all(dir);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  int resident = 0;
  const BenchJson document = BenchJson::parse(result.out);
  for (const BenchJson& row : document["rows"]) {
    EXPECT_EQ(row["xxh3"], document["rows"][0]["xxh3"]);
    if (row["loader"] != "resident") continue;
    ++resident;
    EXPECT_EQ(row["used"], "resident");
    EXPECT_EQ(row["hugepages"], "-");
    EXPECT_EQ(row["copies"], 0);
    EXPECT_TRUE(row["limit_gb_per_s"].is_null());
    EXPECT_TRUE(row["fresh_limit_gb_per_s"].is_null());
  }
  EXPECT_EQ(resident, 2);  // cold and warm
}

TEST(BenchLoad, RowsFitTogether) {
  const BenchJson document = LoadBenchJson({"--cache", "both", "-r", "3"});
  const auto file_bytes = std::filesystem::file_size(SmallModel());
  EXPECT_EQ(document["file"]["bytes"], file_bytes);
  for (const char* field : {"cpu_model", "cores", "memory_bytes", "kernel", "file_system",
                            "direct_alignment", "compiler", "llm_run_version", "isa"}) {
    EXPECT_TRUE(document["machine"].contains(field)) << field;
  }
  for (const BenchJson& row : document["rows"]) {
    SCOPED_TRACE(row.dump());
    const auto bytes = row["read_bytes"].get<double>();
    const auto number = [&row](const char* field) { return row.at(field).get<double>(); };
    EXPECT_NEAR(number("gb_per_s") * number("median_s") * 1e9, bytes, 1e-6 * bytes);
    EXPECT_NEAR(number("read_gb_per_s") * number("read_s") * 1e9, bytes, 1e-6 * bytes);
    EXPECT_LE(number("min_s"), number("median_s"));
    EXPECT_GE(number("iqr_s"), 0);
    EXPECT_GT(number("first_pass_s"), number("min_s"));
    EXPECT_GE(number("faults_per_gib"), 0);
    EXPECT_GE(number("peak_memory_ratio"), 0);
    const bool cold = row["cache"] == "cold";
    // Not every file system lets go of its pages.
    const auto cached = row["cached_bytes_before"].get<uint64_t>();
    const bool as_wanted =
        cold ? cached <= file_bytes / 100 : cached >= file_bytes - file_bytes / 100;
    EXPECT_EQ(row[cold ? "cold_verified" : "warm_verified"], as_wanted);
    EXPECT_GE(number("stolen_cpu_s_per_gib"), 0);
    for (const char* field : {"cpu_s_per_gib", "populate_s", "minor_faults", "major_faults",
                              "copies", "first_layer_s", "pages", "used"}) {
      EXPECT_FALSE(row.at(field).is_null()) << field;
    }
    EXPECT_TRUE(row.at("first_token_s").is_null());
  }
}

TEST(BenchLoad, WithoutFioThereIsNoLimitOfTheDevice) {
  const ProcessResult result =
      LoadBenchRun({"--loaders", "read", "--cache", "both", "-r", "2", "-o", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("fio not found; fix: apt install fio\n"));
  const BenchJson document = BenchJson::parse(result.out);
  EXPECT_TRUE(document["device_limit_gb_per_s"].is_null());
  ASSERT_EQ(document["rows"].size(), 2U);
  EXPECT_TRUE(document["rows"][0]["percent_of_limit"].is_null());
  EXPECT_TRUE(document["rows"][0]["limit_gb_per_s"].is_null());
  ASSERT_EQ(document["limits"].size(), 2U);  // those of the warm row
  EXPECT_EQ(document["limits"][0]["kind"], "memory");
  EXPECT_EQ(document["limits"][0]["samples_gb_per_s"].size(), 2U);
  EXPECT_EQ(document["limits"][1]["kind"], "fresh memory");
  EXPECT_DOUBLE_EQ(document["rows"][1]["fresh_limit_gb_per_s"].get<double>(),
                   document["limits"][1]["gb_per_s"].get<double>());
  EXPECT_GT(document["rows"][1]["total_percent_of_fresh_limit"], 0);
  EXPECT_TRUE(document["rows"][0]["fresh_limit_gb_per_s"].is_null());
  EXPECT_EQ(document["rows"][1]["limit"], "memory");
  EXPECT_GT(document["rows"][1]["percent_of_limit"], 0);
}

TEST(BenchLoad, WithFioColdRowsAreHeldAgainstIt) {
  if (std::system("fio --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "fio is not installed";
  const BenchJson document = LoadBenchJson({"--loaders", "read", "-r", "2"}, true);
  if (document["limits"].empty()) GTEST_SKIP() << "no direct I/O for fio here";
  EXPECT_EQ(document["limits"][0]["kind"], "device");
  EXPECT_EQ(document["limits"][0]["samples_gb_per_s"].size(), 2U);
  EXPECT_EQ(document["limits"][0]["gb_per_s"], document["device_limit_gb_per_s"]);
  EXPECT_EQ(document["rows"][0]["limit"], "device");
  EXPECT_GT(document["rows"][0]["percent_of_limit"], 0);
}

TEST(BenchLoad, ReportsOfLaterLoadsAreHeldAgainstTheDevice) {
  if (std::system("fio --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "fio is not installed";
  const std::vector<std::pair<std::string, std::string>> cache = {
      {"XDG_CACHE_HOME", TempPath("device-cache")}};
  const std::vector<std::string> verify = {"verify", "-m", SmallModel(), "--loader=io_uring",
                                           "--json"};
  const auto load_of = [&] {
    EXPECT_EQ(Llm({"cache", "drop", SmallModel()}, cache).exit_code, 0);
    const ProcessResult result = Llm(verify, cache);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return std::pair(BenchJson::parse(result.out)["load"], result.err);
  };
  EXPECT_TRUE(load_of().first["device_limit_gb_per_s"].is_null());
  const ProcessResult bench =
      Llm({"bench-load", "-m", SmallModel(), "--loaders", "read", "-r", "1", "-o", "json"}, cache);
  ASSERT_EQ(bench.exit_code, 0) << bench.err;
  const BenchJson limit = BenchJson::parse(bench.out)["device_limit_gb_per_s"];
  if (limit.is_null()) GTEST_SKIP() << "no direct I/O for fio here";
  if (!std::filesystem::exists(TempPath("device-cache") + "/llm-run/devices.json")) {
    GTEST_SKIP() << "this file system has no block device";
  }
  const std::pair<BenchJson, std::string> loaded = load_of();
  const BenchJson& load = loaded.first;
  const std::string& text = loaded.second;
  EXPECT_DOUBLE_EQ(load["device_limit_gb_per_s"].get<double>(), limit.get<double>());
  if (load["io_rings"] == 1 && load["copies"] == 0) {
    EXPECT_THAT(text, HasSubstr("% of device)"));
  }

  // Of another device nothing is known.
  const std::string kept = TempPath("device-cache") + "/llm-run/devices.json";
  std::stringstream saved;
  saved << std::ifstream(kept).rdbuf();
  BenchJson devices = BenchJson::parse(saved.str());
  for (auto& [number, device] : devices.items()) device["sectors"] = "1\n";
  std::ofstream(kept) << devices;
  EXPECT_TRUE(load_of().first["device_limit_gb_per_s"].is_null());
  std::ofstream(kept) << "[damaged";
  EXPECT_TRUE(load_of().first["device_limit_gb_per_s"].is_null());
}

TEST(BenchLoad, WhatCannotBeKeptDoesNotCostTheTable) {
  if (std::system("fio --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "fio is not installed";
  const ProcessResult bench =
      Llm({"bench-load", "-m", SmallModel(), "--loaders", "read", "-r", "1", "-o", "json"},
          {{"XDG_CACHE_HOME", "/proc/nowhere"}});
  EXPECT_EQ(bench.exit_code, 0) << bench.err;
  const BenchJson document = BenchJson::parse(bench.out);
  EXPECT_EQ(document["rows"].size(), 1U);
  struct stat info = {};
  ASSERT_EQ(::stat(SmallModel().c_str(), &info), 0);
  std::ostringstream device;
  device << "/sys/dev/block/" << major(info.st_dev) << ':' << minor(info.st_dev);
  if (document["device_limit_gb_per_s"].is_null() || !std::filesystem::exists(device.str())) {
    GTEST_SKIP() << "no rate of a block device here";
  }
  EXPECT_THAT(bench.err, HasSubstr("note   the rate of the device was not kept: "));
}

TEST(BenchLoad, CsvAndJsonLinesCarryEveryField) {
  const ProcessResult csv = LoadBenchRun({"--loaders", "read,mmap", "-r", "1", "-o", "csv"});
  ASSERT_EQ(csv.exit_code, 0) << csv.err;
  const ProcessResult lines = LoadBenchRun({"--loaders", "read,mmap", "-r", "1", "-o", "jsonl"});
  ASSERT_EQ(lines.exit_code, 0) << lines.err;
  EXPECT_EQ(std::ranges::count(csv.out, '\n'), 3);
  EXPECT_EQ(std::ranges::count(lines.out, '\n'), 2);
  const BenchJson row = BenchJson::parse(lines.out.substr(0, lines.out.find('\n')));
  const std::string header = csv.out.substr(0, csv.out.find('\n'));
  EXPECT_EQ(static_cast<size_t>(std::ranges::count(header, ',')) + 1, row.size());
  for (const auto& [field, value] : row.items()) EXPECT_THAT("," + header + ",", HasSubstr(field));
}

TEST(BenchLoad, TimeToTheFirstAndTheTenthToken) {
  const BenchJson document =
      LoadBenchJson({"--loaders", "io_uring,mmap", "-r", "2", "--first-token"});
  for (const BenchJson& row : document["rows"]) {
    const auto number = [&row](const char* field) { return row.at(field).get<double>(); };
    EXPECT_GT(number("first_token_s"), 0);
    EXPECT_GT(number("tenth_token_s"), number("first_token_s"));
    EXPECT_EQ(number("read_alone_s"), number("median_s"));
    EXPECT_GT(number("busy_share_while_loading"), 0);
    // Of two rounds the median is the mean: of ratios within a round, not of medians.
    double ratios = 0;
    for (int round = 0; round < 2; ++round) {
      const auto sample = [&](const char* field) { return row.at(field).at(round).get<double>(); };
      ratios += sample("samples_first_token_s") /
                std::max(sample("samples_s"), sample("samples_compute_alone_s"));
    }
    EXPECT_DOUBLE_EQ(number("streaming_ratio"), ratios / 2);
  }
}

TEST(BenchLoad, SweepOverDepthAndSizeOfRequests) {
  const BenchJson document = LoadBenchJson({"--loaders", "read", "-r", "1", "--sweep"});
  EXPECT_EQ(document["rows"].size(), 1U);
  std::set<std::pair<int, int>> points;
  for (const BenchJson& row : document["sweep"]) {
    points.emplace(row["io_depth"], row["io_chunk_bytes"]);
    EXPECT_GT(row["read_gb_per_s"], 0);
  }
  EXPECT_EQ(points.size(), 16U);
}

TEST(BenchLoad, PollingIsARowOfIoUringOnly) {
  const BenchJson document =
      LoadBenchJson({"--loaders", "io_uring,read", "-r", "1", "--io-poll", "none,sqpoll"});
  std::vector<std::pair<std::string, std::string>> rows;
  for (const BenchJson& row : document["rows"]) rows.emplace_back(row["loader"], row["io_poll"]);
  using Row = std::pair<std::string, std::string>;
  EXPECT_EQ(rows,
            (std::vector<Row>{{"io_uring", "none"}, {"io_uring", "sqpoll"}, {"read", "none"}}));
}

TEST(BenchLoad, PlotsAreSvgFiles) {
  if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "gnuplot is not installed";
  }
  const std::string folder = TempPath("it's plots");
  const ProcessResult result = LoadBenchRun({"--loaders", "read,mmap", "--cache", "both", "-r", "1",
                                             "--first-token", "--sweep", "--plot", folder},
                                            true);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* name : {"rates_cold", "rates_warm", "over_time_cold", "over_time_warm",
                           "tokens_cold", "tokens_warm", "sweep"}) {
    std::ifstream in(folder + "/" + name + ".svg");
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    EXPECT_THAT(text, HasSubstr("</svg>")) << name;
  }
}

TEST(BenchLoad, RefusesWhatMeansNothing) {
  ExpectError(LoadBenchRun({"--loaders", "floppy"}), 64, "floppy");
  ExpectError(LoadBenchRun({"--loaders", ","}), 64, "no loader");
  ExpectError(LoadBenchRun({"--hugepages", "3M"}), 64, "3M");
  ExpectError(LoadBenchRun({"--cache", "tepid"}), 64, "tepid");
  ExpectError(LoadBenchRun({"--threads", "two"}), 64, "two");
  ExpectError(LoadBenchRun({"--threads", "100000"}), 64, "100000");
  ExpectError(LoadBenchRun({"-r", "0"}), 64, "bench-load --help");
  ExpectError(LoadBenchRun({"-o", "xml"}), 64, "xml");
  ExpectError(LoadBenchRun({"--sweep"}), 64, "-o json");
  ExpectError(LoadBenchRun({"--plot", TempPath("none")}), 69, "apt install gnuplot-nox");
}

// Interrupted as soon as it has written this.
ProcessResult InterruptedAt(const std::string& awaited) {
  ProcessOptions options;
  options.args = {kBinary,     "bench-load", "-m",   SmallModel(),    "-r", "1000", "--loaders",
                  "read,mmap", "--cache",    "both", "--first-token", "-o", "json"};
  options.env = kNoTools;
  options.awaited = awaited;
  options.on_output = [](int pid) { ::kill(pid, SIGINT); };
  return RunProcess(options);
}

TEST(BenchLoad, CtrlCEndsIt) {
  const ProcessResult result = InterruptedAt("bench");
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("note   interrupted before the end of a round\n"));
}

TEST(BenchLoad, CtrlCKeepsWholeRounds) {
  const ProcessResult result = InterruptedAt("round 4/1000");
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("note   interrupted: the figures are of 3 rounds of 1000\n"));
  const BenchJson document = BenchJson::parse(result.out);
  ASSERT_EQ(document["rows"].size(), 4U);
  for (const BenchJson& row : document["rows"]) {
    for (const char* samples : {"samples_s", "samples_first_token_s", "samples_compute_alone_s"}) {
      EXPECT_EQ(row[samples].size(), 3U);
    }
  }
  for (const BenchJson& limit : document["limits"]) {
    EXPECT_EQ(limit["samples_gb_per_s"].size(), 3U);
  }
}

}  // namespace
}  // namespace llmrun
