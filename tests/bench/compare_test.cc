// bench/compare: what it calls a loss, and in which order it runs two builds.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/run_process.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::Not;

class Compare : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir_);
    if (RunArgs({"/bin/sh", "-c", "command -v python3"}).exit_code != 0)
      GTEST_SKIP() << "no python3";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }
  std::string Read(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(Path(name)).rdbuf();
    return text.str();
  }
  // Two benchmarks: the first has these values, the second always the same.
  std::string Results(const std::string& name, const std::string& values) const {
    return Write(name, fmt::format(R"({{"benchmarks": [
      {{"run_name": "decode/Q4_0/avx2/threads:1", "GB/s": 20, "%read": {}}},
      {{"run_name": "prompt/Q4_0/avx2/threads:1", "GMAC/s": 50, "%peak": 25.0}}]}})",
                                   values));
  }
  // A benchmark that always reaches so much, and writes down that it ran.
  std::string Build(const std::string& name, double percent) const {
    const std::string path = Write(name, fmt::format(R"(#!/bin/sh
case "$1" in
  --benchmark_list_tests=true) echo decode/F16/avx2/threads:1 ;;
  *) printf {0} >> {1}
     echo '{{"benchmarks": [{{"run_name": "decode/F16/avx2/threads:1", "run_type": "iteration",
            "%read": {2}}}]}}' ;;
esac
)",
                                                     name, Path("order"), percent));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  ProcessResult Run(std::vector<std::string> args) const {
    args.insert(args.begin(), LLMRUN_SOURCE_DIR "/bench/compare");
    return RunArgs(std::move(args));
  }

 private:
  static ProcessResult RunArgs(std::vector<std::string> args) {
    ProcessOptions options;
    options.args = std::move(args);
    return RunProcess(options);
  }

  const std::string dir_ = testing::TempDir() + "llmrun-compare-" + std::to_string(::getpid());
};

TEST_F(Compare, LetsSmallLossesPass) {
  const ProcessResult result = Run({Results("a.json", "80.0"), Results("b.json", "76.8")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("80.00 ->  76.80  x0.960  noise 0.000"));
  EXPECT_THAT(result.out, HasSubstr("2 benchmarks, none lost more than 5%"));
}

TEST_F(Compare, FailsWithALineForEachLoss) {
  const ProcessResult result =
      Run({"--baseline", Results("a.json", "80.0"), Results("b.json", "75.2")});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(
      result.out,
      HasSubstr("lost: decode/Q4_0/avx2/threads:1 %read 80.00 -> 75.20, 6.0% (noise 0.0%)\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("lost: prompt")));
  EXPECT_EQ(Run({"--loss", "7", Path("a.json"), Path("b.json")}).exit_code, 0);
}

// Medians 80 and 75.2; quartiles 77 and 83: 0.93 * 6 / sqrt(5) / 80 = 3.1% of noise.
TEST_F(Compare, TakesMediansAndAllowsForNoise) {
  const std::string noisy = Results("a.json", "[10.0, 77.0, 80.0, 83.0, 99.0]");
  const ProcessResult result = Run({noisy, Results("b.json", "75.2")});
  EXPECT_EQ(result.exit_code, 0) << result.out;
  EXPECT_THAT(result.out, HasSubstr("80.00 ->  75.20  x0.940  noise 0.031"));
  EXPECT_EQ(Run({noisy, Results("c.json", "73.0")}).exit_code, 1);
}

TEST_F(Compare, MissesWhatIsGone) {
  const std::string one = Write(
      "one.json", R"({"benchmarks": [{"run_name": "prompt/Q4_0/avx2/threads:1", "%peak": 25}]})");
  const ProcessResult result = Run({Results("a.json", "80"), one});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("lost: decode/Q4_0/avx2/threads:1 is gone\n"));
  EXPECT_EQ(Run({one, Path("a.json")}).exit_code, 0) << "others may come";
}

TEST_F(Compare, BuildsTakeTurns) {
  const ProcessResult same = Run({Build("A", 80), Build("B", 80)});
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_EQ(Read("order"), "ABBAABBA");
  // What looks like a loss is measured once more.
  std::filesystem::remove(Path("order"));
  EXPECT_EQ(Run({"--rounds", "1", Path("A"), Build("B", 70)}).exit_code, 1);
  EXPECT_EQ(Read("order"), "ABBAABBA");
}

TEST_F(Compare, RecordsWhatItComparesWith) {
  const std::string file = Path("baseline.json");
  EXPECT_EQ(Run({"--record", file, Build("A", 80)}).exit_code, 0);
  EXPECT_THAT(Read("baseline.json"), HasSubstr(R"("%read": [80.0, 80.0, 80.0, 80.0])"));
  EXPECT_EQ(Run({"--baseline", file, Path("A")}).exit_code, 0);
  EXPECT_EQ(Run({"--baseline", file, Build("B", 75)}).exit_code, 1);
}

TEST_F(Compare, RefusesWhatIsNoResult) {
  const std::string a = Results("a.json", "80");
  for (const std::string& bad : {Path("none.json"), Path("none"), Write("text.json", "{"),
                                 Write("empty.json", "[]"), Results("zero.json", "0")}) {
    const ProcessResult result = Run({a, bad});
    EXPECT_EQ(result.exit_code, 65) << bad;
    EXPECT_THAT(result.err, testing::MatchesRegex("compare: [^\n]+\n")) << bad;
  }
}

}  // namespace
}  // namespace llmrun
