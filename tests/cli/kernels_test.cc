// --kernels, and the file in which measured choices are kept.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string TextOf(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class CliKernels : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const ProcessResult made = Llm(
        {"synth", "--shape", "256:512:2:4:2:512", "--type", "TQ2_0", "--force", ModelPathOfTest()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  void SetUp() override { std::filesystem::remove_all(Folder()); }

  static std::string ModelPathOfTest() { return TempPath("kernels.gguf"); }
  static std::string Folder() { return TempPath("cache-of-kernels"); }
  static std::string File() { return Folder() + "/llm-run/kernels.json"; }

  static ProcessResult RunSome(const std::vector<std::string>& more, const std::string& cache) {
    std::vector<std::string> args = {"-m", ModelPathOfTest(), "-p", "a b", "-n", "4", "--temp",
                                     "0",  "--ignore-eos",    "-t", "2"};
    args.insert(args.end(), more.begin(), more.end());
    ProcessResult result = Llm(args, {{"XDG_CACHE_HOME", cache}});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result;
  }
  static ProcessResult RunSome(const std::vector<std::string>& more = {}) {
    return RunSome(more, Folder());
  }
  static size_t ChoicesInFile() {
    const auto json = nlohmann::json::parse(TextOf(File()), nullptr, false);
    return json.is_object() ? json["choices"].size() : 0;
  }
};

TEST_F(CliKernels, AreMeasuredOnce) {
  const ProcessResult first = RunSome();
  EXPECT_THAT(first.err, HasSubstr("kernels for 4 shapes of weights measured in "));
  EXPECT_EQ(ChoicesInFile(), 4U);
  const std::string text = TextOf(File());
  const ProcessResult second = RunSome();
  EXPECT_THAT(second.err, Not(HasSubstr("measured")));
  EXPECT_EQ(second.out, first.out);
  EXPECT_EQ(TextOf(File()), text);
}

TEST_F(CliKernels, AreWhatTheyAreToldToBeWithoutAFile) {
  const ProcessResult multiplied = RunSome({"--kernels=multiply"});
  const ProcessResult looked_up = RunSome({"--kernels", "lookup"});
  EXPECT_EQ(looked_up.out, multiplied.out);
  EXPECT_THAT(looked_up.err, Not(HasSubstr("measured")));
  EXPECT_FALSE(std::filesystem::exists(Folder()));
  EXPECT_EQ(RunSome().out, multiplied.out);
}

TEST_F(CliKernels, AreMeasuredAnewWhereTheFileSaysNothing) {
  RunSome();
  std::string old = TextOf(File());
  const size_t at = old.find("\"version\": ");
  ASSERT_NE(at, std::string::npos);
  old.insert(at + 11, "99");
  for (const std::string& text : {std::string("{ \"version\": "), std::string(), old}) {
    std::ofstream(File(), std::ios::binary) << text;
    const ProcessResult result = RunSome();
    EXPECT_THAT(result.err, HasSubstr("kernels for 4 shapes"));
    EXPECT_THAT(result.err, Not(HasSubstr("error")));
    EXPECT_EQ(ChoicesInFile(), 4U);
  }
}

TEST_F(CliKernels, NeedNoPlaceToBeKept) {
  const std::string expected = RunSome({"--kernels=multiply"}).out;
  for (const char* folder : {"/proc/none", "/dev/null"}) {
    const ProcessResult result = RunSome({}, folder);
    EXPECT_EQ(result.out, expected);
    EXPECT_THAT(result.err, Not(HasSubstr(folder)));
  }
}

TEST_F(CliKernels, AreKeptWholeByProcessesAtTheSameTime) {
  std::vector<std::thread> processes;
  for (int i = 0; i < 4; ++i) processes.emplace_back([] { RunSome(); });
  for (std::thread& process : processes) process.join();
  EXPECT_EQ(ChoicesInFile(), 4U);
  const std::filesystem::directory_iterator files(Folder() + "/llm-run");
  for (const auto& entry : files) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr("kernels.json.")));
  }
}

TEST_F(CliKernels, RefusesOthers) {
  ExpectError(Llm({"-m", ModelPathOfTest(), "-p", "a", "-n", "1", "--kernels=guess"}), 64,
              "--kernels=guess: there are no such kernels; fix: auto, multiply or lookup");
}

}  // namespace
}  // namespace llmrun
