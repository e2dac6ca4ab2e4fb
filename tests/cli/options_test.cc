// What a user may have typed instead of an option that exists: misspellings, and what llama.cpp
// understands.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::Not;

// A run of the tiny model with these options.
ProcessResult RunOne(std::vector<std::string> options) {
  options.insert(options.begin(), {"-p", "Once", "-n", "1", "--temp", "0"});
  return Llm(options);
}

TEST(CliOptions, NamesTheOptionThatMayHaveBeenMeant) {
  ExpectError(RunOne({"--thraeds", "2"}), 64,
              "there is no option --thraeds; fix: did you mean --threads? else llm-run run --help");
  ExpectError(RunOne({"--huge-pages=2M"}), 64,
              "there is no option --huge-pages; fix: did you mean --hugepages?");
  ExpectError(RunOne({"-temp", "0.5"}), 64, "there is no option -temp; fix: did you mean --temp?");
  ExpectError(Llm({"split", "a", "b", "--max-size", "1M"}), 64,
              "there is no option --max-size; fix: did you mean --split-max-size? else "
              "llm-run split --help");
  ExpectError(Llm({"hugepages", "plan", "--jsn"}), 64,
              "did you mean --json? else llm-run hugepages");
  ExpectError(Llm({"inspct"}), 64,
              "there is no command or file 'inspct'; fix: did you mean inspect? else");
  ExpectError(RunOne({"--zzzzzzzz"}), 64, "there is no option --zzzzzzzz; fix: llm-run run --help");
}

TEST(CliOptions, TheModelNeedsNoOption) {
  const std::string text = Llm({"-m", kTinyModel, "-p", "Once", "-n", "3", "--temp", "0"}).out;
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{kTinyModel, "Once", "-n", "3", "--temp", "0"},
        {"-m", kTinyModel, "Once", "-n", "3", "--temp", "0"},
        {kTinyModel, "-p", "Once", "-n", "3", "--temp", "0"}}) {
    EXPECT_EQ(Llm(args).out, text);
  }
  EXPECT_EQ(Llm({"inspect", kTinyModel}).out, Llm({"inspect", "-m", kTinyModel}).out);
  EXPECT_EQ(Llm({"inspect", kTinyModel}, {{"LLAMA_ARG_MODEL", "/nowhere"}}).exit_code, 0);
  ExpectError(Llm({"inspect"}, {{"LLAMA_ARG_MODEL", "/nowhere"}}), 66, "/nowhere");
  ExpectError(Llm({"inspect", "a.gguf", "-m", "b.gguf"}), 64,
              "two models are given: a.gguf and -m b.gguf");
  ExpectError(Llm({kTinyModel, "Once", "-p", "Twice"}), 64,
              "two prompts are given: 'Once' and -p 'Twice'");
}

// They would be -f, -m and -s with a value.
TEST(CliOptions, SeveralLettersBehindOneDashAreNoValueOfAShortOption) {
  ExpectError(RunOne({"-ffile"}), 64, "there is no option -ffile");
  ExpectError(Llm({"inspect", "-mli"}), 64, "there is no option -mli");
  ExpectError(RunOne({"-st"}), 64, "there is no option -st");
  EXPECT_EQ(Llm({"-pOnce", "-n1"}).exit_code, 64);
  EXPECT_EQ(Llm({"-p", "-nobody", "-n1", "-t1", "-c64", "-q"}).exit_code, 0);
  EXPECT_EQ(Llm({"-n1", "-q", "-p", "x", "--", "-none"}).exit_code, 66);  // a file of that name
}

TEST(CliOptions, WhatIsSoAnywayIsLeftOutSilently) {
  const ProcessResult plain = RunOne({});
  const ProcessResult result =
      RunOne({"-fa", "on", "-ngl", "0", "--jinja", "-no-cnv", "--no-warmup", "-fa", "-rtr", "-Cr",
              "0", "--cpu-strict", "1", "-thp", "--no-repack"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, plain.out);
  EXPECT_THAT(result.err, Not(HasSubstr("note   wanted -")));
}

TEST(CliOptions, WhatCannotBeAsWantedIsOneLine) {
  const ProcessResult result = RunOne({"-ngl", "99", "--flash-attn=off"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("note   wanted -ngl 99, got every layer on the CPU: llm-run "
                                    "uses no GPU\n"));
  EXPECT_THAT(result.err, HasSubstr("note   wanted --flash-attn=off, got attention in tiles"));
  EXPECT_THAT(RunOne({"-ngl", "99", "-q"}).err, Not(HasSubstr("note")));
  EXPECT_THAT(RunOne({"-ngl", "99", "--log-disable"}).err, Not(HasSubstr("note")));
}

TEST(CliOptions, WhatWouldMeanSomethingElseIsRefusedWithTheWayToIt) {
  ExpectError(RunOne({"-hf", "some/model"}), 64,
              "-hf: llm-run downloads nothing; fix: fetch the GGUF file, then -m FILE");
  ExpectError(RunOne({"-cnv"}), 64,
              "-cnv: conversations are a command of their own; fix: llm-run chat");
  ExpectError(Llm({"chat", "--no-conversation"}), 64, "fix: llm-run run");
  ExpectError(RunOne({"-C", "0xf"}), 64, "-C: CPUs are named by --pin; fix: --pin=0-3,8");
  EXPECT_EQ(Llm({"chat", "-cnv", "-q"}).exit_code, 0);
}

}  // namespace
}  // namespace llmrun
