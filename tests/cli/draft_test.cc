// Speculative decoding as a user asks for it: the same text, how many guesses were right, and what
// cannot guess.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kBigModel[] = LLMRUN_SOURCE_DIR "/models/llm-run-tiny-f16.gguf";

ProcessResult Continue(const std::vector<std::string>& more) {
  std::vector<std::string> args = {"-m", kBigModel, "-p", "Once upon a time",
                                   "-n", "60",      "-t", "2"};
  args.insert(args.end(), more.begin(), more.end());
  return Llm(args);
}

TEST(CliDraft, LookupSaysTheSameText) {
  const ProcessResult plain = Continue({"--seed", "5"});
  const ProcessResult guessed =
      Continue({"--seed", "5", "--spec-type", "ngram", "--spec-draft-n-max", "5"});
  ASSERT_EQ(guessed.exit_code, 0) << guessed.err;
  EXPECT_EQ(guessed.out, plain.out);
  EXPECT_THAT(plain.err, Not(HasSubstr("drafts")));
}

TEST(CliDraft, AnotherModelSaysTheSameText) {
  for (const std::vector<std::string>& sampling :
       {std::vector<std::string>{"--temp", "0"}, {"--temp", "1.2", "--seed", "5"}}) {
    const ProcessResult plain = Continue(sampling);
    std::vector<std::string> args = sampling;
    args.insert(args.end(), {"-md", kTinyModel, "--draft-max", "4", "-ctkd", "f32"});
    const ProcessResult guessed = Continue(args);
    ASSERT_EQ(guessed.exit_code, 0) << guessed.err;
    EXPECT_EQ(guessed.out, plain.out);
    EXPECT_THAT(guessed.err, HasSubstr("draft  " + std::string(kTinyModel)));
    EXPECT_THAT(guessed.err, HasSubstr(" tokens were guessed right ("));
    EXPECT_THAT(guessed.err, Not(HasSubstr("drafts 0 of")));
    args.emplace_back("-q");
    EXPECT_EQ(Continue(args).err, "");
  }
}

TEST(CliDraft, TheSameModelIsAlwaysRight) {
  const ProcessResult guessed = Continue({"--temp", "0", "-md", kBigModel});
  EXPECT_EQ(guessed.out, Continue({"--temp", "0"}).out);
  EXPECT_THAT(guessed.err, HasSubstr("(100%)"));
}

TEST(CliDraft, ChatTellsItForAllAnswers) {
  const auto talk = [](const std::vector<std::string>& more) {
    ProcessOptions options;
    options.args = {kBinary, "chat", "-m", kBigModel, "--temp", "0", "-t", "2"};
    options.args.insert(options.args.end(), more.begin(), more.end());
    options.env = {{"XDG_CACHE_HOME", TempPath("cache")}, {"XDG_STATE_HOME", TempPath("state")}};
    options.input = "What color is the sky?\nWhat is the capital of Spain?\n/regen\n";
    return RunProcess(options);
  };
  const ProcessResult plain = talk({});
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"-md", kTinyModel}, {"--spec-type", "ngram"}}) {
    const ProcessResult guessed = talk(how);
    ASSERT_EQ(guessed.exit_code, 0) << guessed.err;
    EXPECT_EQ(guessed.out, plain.out);
    EXPECT_THAT(guessed.err, HasSubstr(" tokens were guessed right ("));
  }
}

TEST(CliDraft, WhatCannotGuessIsRefused) {
  ExpectError(Continue({"--spec-type", "tea-leaves"}), 64, "none or ngram");
  ExpectError(Continue({"--spec-draft-n-max", "0"}), 64, "must be positive");
  ExpectError(Continue({"--draft-p-min", "1.5"}), 64, "expected 0 to 1");
  ExpectError(Continue({"-ctkd", "q3_k"}), 69, "there is no KV cache of type q3_k");
  ExpectError(Continue({"-md", kTinyModel, "--spec-type", "ngram"}), 64, "only one can guess");
  ExpectError(Continue({"-md", "-"}), 64, "cannot come from standard input");
  ExpectError(Continue({"-md", TempPath("none.gguf")}), 66, "none.gguf");
  const std::string other = WriteModel("other.gguf", BuildTinyLlama({}));
  ExpectError(Continue({"-md", other}), 64,
              "other.gguf cannot guess for " + std::string(kBigModel) +
                  ": expected the same vocabulary, found token ");
}

}  // namespace
}  // namespace llmrun
