// What `llm-run run` makes of the options of the sampler, of stop strings and of grammars.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// What comes after the prompt, without the newline at the end.
std::string AnswerWith(std::vector<std::string> options) {
  std::vector<std::string> args = {"-m", kTinyModel,           "-p", "Once upon a time",
                                   "-q", "--no-display-prompt"};
  args.insert(args.end(), options.begin(), options.end());
  const ProcessResult result = Llm(args);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out.substr(0, result.out.size() - 1);
}

int ExitWith(std::vector<std::string> options, std::string_view message) {
  std::vector<std::string> args = {"-m", kTinyModel, "-p", "x", "-n", "1"};
  args.insert(args.end(), options.begin(), options.end());
  const ProcessResult result = Llm(args);
  EXPECT_THAT(result.err, HasSubstr(message));
  EXPECT_EQ(result.out, "");
  return result.exit_code;
}

TEST(RunSampling, TakesEveryFlag) {
  const std::vector<std::string> all = {"-n",
                                        "8",
                                        "--seed",
                                        "3",
                                        "--samplers",
                                        "dry;top_k;penalties;typ_p;top_p;min_p;xtc;temp",
                                        "--temp",
                                        "0.9",
                                        "--top-k",
                                        "30",
                                        "--top-p",
                                        "0.9",
                                        "--min-p",
                                        "0.02",
                                        "--top-n-sigma",
                                        "2",
                                        "--typical",
                                        "0.95",
                                        "--repeat-last-n",
                                        "-1",
                                        "--repeat-penalty",
                                        "1.1",
                                        "--presence-penalty",
                                        "0.1",
                                        "--frequency-penalty",
                                        "-0.1",
                                        "--dry-multiplier",
                                        "0.8",
                                        "--dry-base",
                                        "1.6",
                                        "--dry-allowed-length",
                                        "3",
                                        "--dry-penalty-last-n",
                                        "64",
                                        "--dry-sequence-breaker",
                                        "\\n",
                                        "--dry-sequence-breaker",
                                        "-",
                                        "--xtc-probability",
                                        "0.2",
                                        "--xtc-threshold",
                                        "0.2",
                                        "--dynatemp-range",
                                        "0.3",
                                        "--dynatemp-exp",
                                        "1.5",
                                        "-l",
                                        "5-1.5",
                                        "-l",
                                        "6+inf",
                                        "--ignore-eos"};
  EXPECT_EQ(AnswerWith(all), AnswerWith(all));
  EXPECT_NE(AnswerWith({"-n", "8", "--mirostat", "2", "--mirostat-lr", "0.2", "--mirostat-ent", "4",
                        "--seed", "3", "--sampler-seq", "kt"}),
            "");
}

TEST(RunSampling, StopsBeforeTheStopString) {
  const std::vector<std::string> greedy = {"-n", "24", "--temp", "0"};
  const std::string whole = AnswerWith(greedy);
  ASSERT_GT(whole.size(), 20U);
  const std::string stop = whole.substr(whole.size() / 2, 5);
  std::vector<std::string> with_stop = greedy;
  with_stop.insert(with_stop.end(), {"-r", "never seen", "-r", stop});
  EXPECT_EQ(AnswerWith(with_stop), whole.substr(0, whole.find(stop)));
}

TEST(RunSampling, AGrammarHoldsTheAnswer) {
  EXPECT_THAT(AnswerWith({"--grammar", "root ::= \"yes\" | \"no\"", "-n", "50"}),
              AnyOf("yes", "no"));
  const std::string path = TempPath("dots.gbnf");
  std::ofstream(path) << "root ::= [.!]{7}  # seven\n";
  const std::string seven = AnswerWith({"--grammar-file", path, "--ignore-eos"});
  EXPECT_EQ(seven.size(), 7U);
  EXPECT_EQ(seven.find_first_not_of(".!"), std::string::npos);
}

TEST(RunSampling, ASchemaHoldsTheAnswer) {
  const std::string schema =
      R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 12},
          "age": {"type": "integer", "minimum": 0, "maximum": 120},
          "kind": {"enum": ["cat", "dog"]}}, "required": ["name", "age", "kind"]})";
  const std::string path = TempPath("schema.json");
  std::ofstream(path) << schema;
  for (const auto& option : {std::pair<std::string, std::string>{"-j", schema}, {"-jf", path}}) {
    const auto answer = nlohmann::json::parse(
        AnswerWith({option.first, option.second, "--seed", "11", "--temp", "1.5", "-n", "300"}),
        nullptr, false);
    ASSERT_TRUE(answer.is_object());
    EXPECT_LE(answer["age"], 120);
    EXPECT_THAT(answer["kind"], AnyOf("cat", "dog"));
  }
}

TEST(RunSampling, RefusesWhatItCannotDo) {
  EXPECT_EQ(ExitWith({"--samplers", "top_k;top_z"}, "'top_z' is none"), 64);
  EXPECT_EQ(ExitWith({"--sampler-seq", "kz"}, "'z'"), 64);
  EXPECT_EQ(ExitWith({"--sampler-seq", "k", "--samplers", "top_k"}, "give one"), 64);
  EXPECT_EQ(ExitWith({"-l", "15043"}, "no bias"), 64);
  EXPECT_EQ(ExitWith({"--mirostat", "3"}, "mirostat is 3"), 64);
  EXPECT_EQ(ExitWith({"--grammar", "root ::= root"}, "left recursion"), 64);
  EXPECT_EQ(ExitWith({"--grammar", "root ::= \"a\"", "-j", "{}"}, "only one"), 64);
  EXPECT_EQ(ExitWith({"-j", R"({"not": {}})"}, "'not' is not understood"), 64);
  EXPECT_EQ(ExitWith({"--grammar-file", TempPath("none.gbnf")}, "none.gbnf"), 66);
}

TEST(RunSampling, AGrammarMayComeFromStandardInput) {
  ProcessOptions options;
  options.args = {kBinary, "-q", "-p", "Is it? ", "-n", "20", "--temp", "0", "--grammar-file", "-"};
  options.env = {{"XDG_CACHE_HOME", TempPath("cache")}};
  options.input = "root ::= \"maybe\"";
  const ProcessResult result = RunProcess(options);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "Is it? maybe\n");
}

}  // namespace
}  // namespace llmrun
