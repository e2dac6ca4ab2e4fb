// The options about threads, and what threads cost, as a user sees it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/cli/llm.h"
#include "tests/support/run_process.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

ProcessOptions Shell(const std::string& script) {
  ProcessOptions options;
  options.args = {"/bin/sh", "-c", script, kBinary};
  return options;
}

// User and system ticks of the process, before and after two seconds at an open standard input.
TEST(RunThreads, UsesNoCpuWhileItWaitsForThePrompt) {
  const ProcessResult result = RunProcess(Shell(R"(
      fifo=$(mktemp -u) && mkfifo "$fifo" || exit 1
      "$0" run -n 2 --temp 0 < "$fifo" > /dev/null 2>&1 & pid=$!
      exec 3> "$fifo"; rm "$fifo"
      before=none
      for i in $(seq 60); do  # until it has started
        sleep 1
        now=$(cut -d ' ' -f 14,15 /proc/$pid/stat)
        [ "$now" = "$before" ] && break
        before=$now
      done
      cut -d ' ' -f 14,15 /proc/$pid/stat
      sleep 2
      cut -d ' ' -f 14,15 /proc/$pid/stat
      echo 'Once upon a time' >&3; exec 3>&-
      wait $pid)"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const size_t middle = result.out.size() / 2;
  EXPECT_EQ(result.out.substr(0, middle), result.out.substr(middle));
  EXPECT_GT(middle, 3U);
}

TEST(RunThreads, ProfileCountsTheStepsOfEachToken) {
  const ProcessResult result = Llm({"run", "-p", "Once upon a time", "-n", "9", "--ignore-eos",
                                    "--temp", "0", "-t", "1", "--profile"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // 5 layers of qkv with attend, attn_output, gate_up and down; embed, proceed and logits.
  EXPECT_NE(result.err.find("profile of each of 8 decoded tokens: 23.0 steps"), std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find("profile qkv              5.0"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("profile store_kv"), result.err.rfind("profile store_kv"))
      << "only in the prompt: " << result.err;
}

TEST(RunThreads, ThreadsOfAPromptMayBeOthers) {
  const auto text = [](std::vector<std::string> more) {
    std::vector<std::string> args = {"run", "-p", "Once upon a time", "-n", "12", "--temp", "0"};
    args.insert(args.end(), more.begin(), more.end());
    const ProcessResult result = Llm(args);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result;
  };
  const ProcessResult plain = text({});
  const ProcessResult two = text({"-t", "1", "--threads-batch", "2"});
  EXPECT_EQ(two.out, plain.out);
  const bool has_two = std::thread::hardware_concurrency() >= 2;
  EXPECT_EQ(two.err.find("threads 1 (prompt 2)") != std::string::npos, has_two) << two.err;
  EXPECT_EQ(text({"--pin", "none"}).out, plain.out);
  EXPECT_EQ(text({"--pin", "threads", "--share-cores"}).out, plain.out);
  EXPECT_EQ(text({"--sched", "batch"}).out, plain.out);
}

TEST(RunThreads, RefusesPlacesAndPoliciesThatCannotBe) {
  const auto refused = [](std::vector<std::string> args, int code, const std::string& message) {
    args.insert(args.begin(), {"run", "-p", "Hi", "-n", "1"});
    const ProcessResult result = Llm(args);
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(result.out, "");
  };
  refused({"--pin", "nowhere"}, 64, "expected cores, threads, none or a list of CPUs");
  refused({"--pin", "60000"}, 64, "CPU 60000 cannot be had");
  refused({"--sched", "fifo:100"}, 64, "expected 1 to 99");
  refused({"--sched", "deadline"}, 69, "not for threads that are pinned");
  refused({"--share-cores", "--pin", "none"}, 64, "fix: --pin=cores");
}

}  // namespace
}  // namespace llmrun
