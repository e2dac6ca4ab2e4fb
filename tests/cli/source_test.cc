// A model from standard input, weights that are looked at as they arrive, and the timeline.
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/cli/llm.h"

namespace llmrun {
namespace {

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

ProcessResult WithModelOnStdin(std::vector<std::string> args, std::string model) {
  ProcessOptions options;
  options.args = {kBinary};
  options.args.insert(options.args.end(), args.begin(), args.end());
  options.input = std::move(model);
  return RunProcess(options);
}

TEST(CliStdin, AModelFromAPipeSaysTheSame) {
  const std::vector<std::string> prompt = {"-p", "Once upon a time", "-n", "8", "--temp", "0"};
  std::vector<std::string> from_file = {"-m", kTinyModel, "-q"};
  from_file.insert(from_file.end(), prompt.begin(), prompt.end());
  std::vector<std::string> from_pipe = {"-m", "-"};
  from_pipe.insert(from_pipe.end(), prompt.begin(), prompt.end());
  const ProcessResult piped = WithModelOnStdin(from_pipe, FileText(kTinyModel));
  EXPECT_EQ(piped.exit_code, 0) << piped.err;
  EXPECT_EQ(piped.out, Llm(from_file).out);
  EXPECT_THAT(piped.err, testing::HasSubstr("copies 1"));
}

TEST(CliStdin, CommandsThatReadTheHeaderNeedNoMore) {
  const std::string model = FileText(kTinyModel);
  const ProcessResult inspected =
      WithModelOnStdin({"inspect", "-m", "-"}, model.substr(0, model.size() / 2));
  EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
  EXPECT_THAT(inspected.out, testing::HasSubstr("token_embd.weight"));
  const ProcessResult planned = WithModelOnStdin({"plan", "-m", "-"}, model);
  EXPECT_EQ(planned.exit_code, 0) << planned.err;
  const ProcessResult verified = WithModelOnStdin({"verify", "-m", "-"}, model);
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
}

TEST(CliStdin, CommandsThatNeedAFileSaySo) {
  ExpectError(WithModelOnStdin({"bench-load", "-m", "-"}, "x"), 64, "needs a file");
  ExpectError(WithModelOnStdin({"resident", "load", "-m", "-"}, "x"), 64, "needs a file");
}

TEST(CliStdin, AnEarlyEndIsBadData) {
  const std::string model = FileText(kTinyModel);
  ExpectError(WithModelOnStdin({"-m", "-", "-p", "x"}, model.substr(0, model.size() - 1)), 65,
              "the stream ended after");
}

TEST(CliStdin, WhatIsNoModelIsSaidInOneLine) {
  ExpectError(WithModelOnStdin({"-m", "-", "-p", "x"}, ""), 66, "found nothing");
  ExpectError(WithModelOnStdin({"-m", "-", "-p", "x"}, "not a model at all, but some text"), 65,
              "GGUF");
  ExpectError(WithModelOnStdin({"-m", "-"}, "x"), 64, "both the model and the prompt");
}

TEST(CliCheckTensors, InfinitiesAreRefusedByName) {
  std::string model = FileText(LLMRUN_SOURCE_DIR "/models/llm-run-tiny-f16.gguf");
  const float infinity = INFINITY;  // in output_norm.weight, the last tensor of the file
  std::memcpy(model.data() + model.size() - 64, &infinity, sizeof infinity);
  const std::string path = TempPath("infinite.gguf");
  std::ofstream(path, std::ios::binary) << model;
  const ProcessResult refused = Llm({"-m", path, "-p", "x", "-n", "0", "-q", "--check-tensors"});
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_THAT(refused.err, testing::HasSubstr("'output_norm.weight': 1 values are not finite"));
  EXPECT_THAT(refused.err, testing::HasSubstr(path));
}

TEST(CliTrace, IsATimelineOfReadsPagesAndLayers) {
  const std::string path = TempPath("trace.json");
  const ProcessResult result =
      Llm({"-m", kTinyModel, "--loader=io_uring", "-p", "x", "-n", "2", "--trace", path, "-q"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json trace = nlohmann::json::parse(FileText(path));
  std::set<std::string> categories;
  int open = 0;
  for (const nlohmann::json& event : trace["traceEvents"]) {
    if (event["ph"] == "M") continue;
    categories.insert(event["cat"].get<std::string>());
    open += event["ph"] == "b" ? 1 : -1;
    EXPECT_GE(event["ts"].get<double>(), 0.0);
  }
  EXPECT_EQ(open, 0);
  EXPECT_TRUE(categories.contains("reads"));
  EXPECT_TRUE(categories.contains("compute"));
}

}  // namespace
}  // namespace llmrun
