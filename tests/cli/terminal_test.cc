// llm-run chat as a person at a terminal sees it: a pseudo terminal stands for the terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

constexpr int kPatienceMs = 60'000;

// What is typed and shown while it lives; the program is killed with it.
class Terminal {
 public:
  explicit Terminal(std::vector<std::string> args) {
    const std::string cache = TempPath("cache");
    const std::string state = TempPath("state");
    args.insert(args.begin(), {kBinary, "chat", "-m", kTinyModel, "-q", "--temp", "0", "-t", "1"});
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    int fd = -1;
    pid_ = ::forkpty(&fd, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
      ::setenv("XDG_STATE_HOME", state.c_str(), 1);
      ::setenv("TERM", "dumb", 1);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    fd_ = UniqueFd(fd);
  }
  ~Terminal() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void Type(std::string_view keys) {
    EXPECT_EQ(::write(fd_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  // What is shown from here on until it has this part, or nothing more comes.
  std::string ShownUntil(std::string_view part) {
    std::string shown;
    pollfd wait = {fd_.get(), POLLIN, 0};
    while (shown.find(part) == shown.npos && ::poll(&wait, 1, kPatienceMs) > 0) {
      char buffer[1024];
      const ssize_t n = ::read(fd_.get(), buffer, sizeof buffer);
      if (n <= 0) break;
      shown.append(buffer, static_cast<size_t>(n));
    }
    return shown;
  }
  // Whether each key reaches the program as it is typed, Ctrl-D too.
  bool GivesEachKey() const {
    termios rules = {};
    EXPECT_EQ(::tcgetattr(fd_.get(), &rules), 0);
    return (rules.c_lflag & ICANON) == 0;
  }
  // As a shell does with a job that is stopped and brought back.
  void StopAndGoOn() {
    termios rules = {};
    ::kill(pid_, SIGSTOP);
    EXPECT_EQ(::waitpid(pid_, nullptr, WUNTRACED), pid_);
    EXPECT_EQ(::tcgetattr(fd_.get(), &rules), 0);
    rules.c_lflag |= ICANON | ECHO;
    EXPECT_EQ(::tcsetattr(fd_.get(), TCSANOW, &rules), 0);
    ::kill(pid_, SIGCONT);
  }
  // The exit code, or minus the signal; a program that does not end is killed.
  int Wait() {
    int status = 0;
    pid_t ended = 0;
    for (int waited = 0; ended == 0 && waited < kPatienceMs; waited += 10) {
      ended = ::waitpid(pid_, &status, WNOHANG);
      if (ended == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (ended == 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status, 0);
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
  UniqueFd fd_;
};

constexpr std::string_view kPrompt = "\r\n> ";

TEST(CliTerminal, CtrlCDropsTheLineAndShowsThePromptOnce) {
  Terminal terminal(
      {"--chat-template", "Question: {{ messages[-1].content }}\nAnswer:", "-n", "4"});
  EXPECT_EQ(terminal.ShownUntil("> "), "> ");
  EXPECT_TRUE(terminal.GivesEachKey());
  for (int round = 0; round < 3; ++round) {
    terminal.Type("abc");
    EXPECT_EQ(terminal.ShownUntil("abc"), "abc");
    terminal.Type("\x03");
    EXPECT_EQ(terminal.ShownUntil(kPrompt), kPrompt);
    EXPECT_TRUE(terminal.GivesEachKey());
  }
  terminal.Type("What color is the sky?\r");
  EXPECT_EQ(terminal.ShownUntil(kPrompt), "What color is the sky?\r\nThe sky is blue\r\n> ");
  EXPECT_TRUE(terminal.GivesEachKey());
  terminal.Type("\x04");
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST(CliTerminal, CharactersOfSeveralBytesAreEditedAsOne) {
  Terminal terminal({"--chat-template", "{{ messages[-1].content }}", "-n", "1"});
  EXPECT_EQ(terminal.ShownUntil("> "), "> ");
  terminal.Type("\u00e9t\u20ac");
  EXPECT_EQ(terminal.ShownUntil("\u20ac"), "\u00e9t\u20ac");
  terminal.Type("\x7f\x7f\x7f/system \xff\U0001f600 said\r");  // \xff is no character
  EXPECT_THAT(terminal.ShownUntil(kPrompt), HasSubstr("/system \U0001f600 said"));
  terminal.Type("/exit\r");
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST(CliTerminal, AJobBroughtBackShowsItsLineAndIsHeard) {
  Terminal terminal({"--chat-template", "{{ messages[-1].content }}", "-n", "1"});
  EXPECT_EQ(terminal.ShownUntil("> "), "> ");
  terminal.Type("/tok");
  EXPECT_EQ(terminal.ShownUntil("/tok"), "/tok");
  for (int round = 0; round < 2; ++round) {
    terminal.StopAndGoOn();
    EXPECT_EQ(terminal.ShownUntil("> /tok"), "> /tok");
    EXPECT_TRUE(terminal.GivesEachKey());
  }
  terminal.Type("ens\r");
  EXPECT_THAT(terminal.ShownUntil(kPrompt), HasSubstr("ens\r\n0 of "));
  terminal.Type("/exit\r");
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST(CliTerminal, CtrlCStopsAnAnswerAndTheNextLineIsHeard) {
  Terminal terminal({"--chat-template", "{{ messages[-1].content }}", "--ignore-eos", "-c",
                     "100000", "-n", "90000"});
  EXPECT_EQ(terminal.ShownUntil("> "), "> ");
  terminal.Type("Once upon a time\r");
  EXPECT_THAT(terminal.ShownUntil("there was"), HasSubstr("there was"));
  terminal.Type("\x03");
  const std::string rest = terminal.ShownUntil(kPrompt);
  EXPECT_THAT(rest, HasSubstr("^C"));
  EXPECT_EQ(rest.find("> "), rest.size() - 2) << rest;
  terminal.Type("/tokens\r");
  EXPECT_THAT(terminal.ShownUntil(kPrompt), HasSubstr(" of 100000 tokens of the context"));
  terminal.Type("/exit\r");
  EXPECT_EQ(terminal.Wait(), 0);
}

}  // namespace
}  // namespace llmrun
