// llm-run chat as a script sees it: a message a line, answers on stdout.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::Not;

ProcessResult Talk(const std::string& input, std::vector<std::string> args = {}) {
  ProcessOptions options;
  options.args = {kBinary, "chat", "-m", kTinyModel, "--temp", "0", "-t", "2"};
  options.args.insert(options.args.end(), args.begin(), args.end());
  options.env = {{"XDG_CACHE_HOME", TempPath("cache")}, {"XDG_STATE_HOME", TempPath("state")}};
  options.input = input;
  return RunProcess(options);
}

constexpr char kSky[] = "What color is the sky?\n";

TEST(CliChat, AnswersQuestionsLineByLine) {
  const ProcessResult result =
      Talk(std::string(kSky) + "What is the opposite of closed?\nWhat is the capital of Spain?\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "The sky is blue.\nThe opposite of closed is open.\n"
            "The capital of Spain is Madrid.\n");
  EXPECT_THAT(result.err, HasSubstr("wanted the chat template of the model, got 'plain'"));
}

TEST(CliChat, ATemplateThatIsGivenIsUsed) {
  const ProcessResult result =
      Talk(kSky, {"--chat-template", "Question: {{ messages[-1].content }}\nAnswer: It {{ x }}",
                  "--chat-template-kwargs", R"({"x": "is"})", "-n", "4", "-q"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_NE(result.out, "");
  ExpectError(Talk(kSky, {"--chat-template", "nope"}), 64, "there is no chat template 'nope'");
  ExpectError(Talk(kSky, {"--chat-template", "{% if"}), 65, "chat template '--chat-template': 1:");
  ExpectError(Talk(kSky, {"--chat-template-kwargs", "[]"}), 64, "expected a JSON object");
  ExpectError(Talk(kSky, {"--chat-template-file", TempPath("none")}), 66, "none");
  ExpectError(Talk(kSky, {"--chat-template", "{{ raise_exception('no') }}"}), 64,
              "the template refuses: no");
}

TEST(CliChat, ToolsOfAFileReachTheTemplate) {
  const std::string file = TempPath("tools.json");
  std::ofstream(file) << R"([{"type": "function", "function": {"name": "What color is"}}])";
  const std::vector<std::string> args = {
      "-n",
      "4",
      "--chat-template",
      "Question: {{ tools[0].function.name }} {{ messages[-1].content }}\nAnswer:",
      "--tools",
      file};
  const ProcessResult result = Talk("the sky?\n", args);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, Talk(kSky, {"-n", "4"}).out);
  EXPECT_THAT(result.err, Not(HasSubstr("without them")));
  EXPECT_THAT(Talk(kSky, {"-n", "1", "--tools", file}).err,
              HasSubstr("got a prompt without them: the chat template 'plain' has no word of "
                        "tools; fix: --chat-template"));
  EXPECT_EQ(Talk(kSky, {"-n", "1", "--tools", file, "-q"}).err, "");
  std::ofstream(file) << "{}";
  ExpectError(Talk(kSky, args), 64, "--tools: expected a JSON array of functions, found '{}'");
  ExpectError(Talk(kSky, {"-q", "--tools", TempPath("none")}), 66, "none");
}

TEST(CliChat, TheWordsOfACommandAreHeeded) {
  const ProcessResult result = Talk("/help\n" + std::string(kSky) +
                                        "/tokens\n/regen\n/reset\n/system You are kind.\n/tokens\n"
                                        "/exit\nnot read\n",
                                    {"-q"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "The sky is blue.\nThe sky is blue.\n");
  EXPECT_THAT(result.err, HasSubstr("/save FILE"));
  EXPECT_THAT(result.err, HasSubstr(" of 512 tokens of the context are in use"));
  ExpectError(Talk("/nope\n", {"-q"}), 64, "there is no command '/nope'; fix: /help");
  ExpectError(Talk("/regen\n", {"-q"}), 64, "there is no answer yet");
  ExpectError(Talk("/save\n", {"-q"}), 64, "/save wants a file");
}

TEST(CliChat, SeveralLinesAreOneMessage) {
  const std::string sky = "The sky is blue.\n";
  EXPECT_EQ(Talk("\"\"\"\nWhat color\nis the sky?\"\"\"\n", {"-q"}).out, sky);
  EXPECT_EQ(Talk("\"\"\"What color is the sky?\"\"\"\n", {"-q"}).out, sky);
  const std::string joined = Talk("What color \\\nis the sky?\n", {"-q", "-n", "12"}).out;
  EXPECT_EQ(std::ranges::count(joined, '\n'), 1) << joined;
}

TEST(CliChat, ASavedConversationGoesOn) {
  const std::string file = TempPath("talk.session");
  const ProcessResult saved = Talk(std::string(kSky) + "/save " + file + "\n", {"-q"});
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  const ProcessResult loaded = Talk("/load " + file + "\n/tokens\nWhat color is grass?\n", {"-q"});
  EXPECT_EQ(loaded.exit_code, 0) << loaded.err;
  const ProcessResult whole = Talk(std::string(kSky) + "What color is grass?\n", {"-q"});
  EXPECT_EQ(loaded.out, whole.out);
  EXPECT_THAT(loaded.err, HasSubstr("> What color is the sky?"));
  EXPECT_THAT(loaded.err, Not(HasSubstr("\n0 of 512")));
  ExpectError(Talk("/load " + std::string(kTinyModel) + "\n", {"-q"}), 65,
              "this is not a session file");
  ExpectError(Talk("/load " + file + "\n", {"-q", "-ctk", "f32"}), 64, "other types of the KV");
}

TEST(CliChat, AFullContextSaysHowToGoOn) {
  ExpectError(Talk(kSky, {"-q", "-c", "8"}), 64, "the context 8; fix: /reset, or begin with -c");
}

TEST(CliChat, StandardInputIsNotTheModelToo) {
  ProcessOptions options;
  options.args = {kBinary, "chat", "-m", "-"};
  options.input = "x";
  ExpectError(RunProcess(options), 64, "cannot be both the model and the conversation");
}

ProcessResult Story(const std::string& prompt, std::vector<std::string> args) {
  args.insert(args.begin(), {"run", "-m", kTinyModel, "--temp", "0", "-n", "12", "-p", prompt});
  return Llm(std::move(args));
}

TEST(CliPromptCache, ThePromptIsComputedOnce) {
  const std::string file = TempPath("prompt.cache");
  const std::vector<std::string> flags = {"--prompt-cache", file};
  const std::string prompt = "Once upon a time, there was a small fox";
  const ProcessResult first = Story(prompt, flags);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, Not(HasSubstr("prompt 1 tokens")));
  const ProcessResult second = Story(prompt, flags);
  EXPECT_EQ(second.out, first.out);
  EXPECT_THAT(second.err, HasSubstr("prompt 1 tokens"));
  // Another prompt takes what it shares, and with -ro leaves the file alone.
  const auto before = std::filesystem::last_write_time(file);
  const std::string other = "Once upon a time, there was a big dog";
  const ProcessResult third = Story(other, {"--prompt-cache", file, "--prompt-cache-ro"});
  EXPECT_EQ(third.out, Story(other, {}).out);
  EXPECT_EQ(std::filesystem::last_write_time(file), before);
}

TEST(CliPromptCache, WithAllTheStoryGoesOn) {
  const std::string file = TempPath("story.cache");
  const ProcessResult first =
      Story("Once upon a time", {"--prompt-cache", file, "--prompt-cache-all"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  std::string text = first.out;
  text.pop_back();  // its newline
  const ProcessResult second = Story(text, {"--prompt-cache", file, "--prompt-cache-ro"});
  EXPECT_EQ(second.out, Story(text, {}).out);
  EXPECT_THAT(second.err, HasSubstr("prompt 1 tokens"));
}

TEST(CliPromptCache, ForeignFilesAreNotOverwritten) {
  const std::string file = TempPath("foreign");
  ASSERT_TRUE(WriteFile(file, std::vector<std::byte>(500)));
  const ProcessResult result = Story("Once", {"--prompt-cache", file});
  EXPECT_EQ(result.exit_code, 65) << result.err;
  EXPECT_THAT(result.err, HasSubstr("this is not a session file"));
  EXPECT_EQ(std::filesystem::file_size(file), 500U);
}

}  // namespace
}  // namespace llmrun
