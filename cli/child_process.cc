#include "cli/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/unique_fd.h"
#include "base/units.h"
#include "cli/interrupt.h"

namespace llmrun {
namespace {

constexpr auto kLookInterval = std::chrono::milliseconds(10);

// An unnamed file in memory for what the program prints: it never blocks, as a pipe would.
Result<UniqueFd> OpenOutput(const char* name) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return OsError(errno, "memfd_create");
  return fd;
}

std::string ReadBack(int fd) {
  std::string text(kMiB, '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

Result<pid_t> Spawn(std::vector<std::string> args, std::vector<std::string> variables, int out,
                    int err) {
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, args[0].c_str(), &actions, nullptr, Pointers(args).data(),
                                  Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return OsError(error, args[0]);
  return pid;
}

// Its wait status.
Result<int> Await(pid_t pid, const std::function<void(pid_t)>& meanwhile) {
  bool asked_to_end = false;
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) return status;
    if (ended < 0 && errno != EINTR) return OsError(errno, "waitpid");
    if (Interrupted() && !asked_to_end) {
      ::kill(pid, SIGTERM);
      asked_to_end = true;
    }
    if (meanwhile) meanwhile(pid);
    std::this_thread::sleep_for(kLookInterval);
  }
}

}  // namespace

std::optional<std::string> FindProgram(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const std::string file = std::string(rest.substr(0, colon)) + "/" + std::string(name);
    if (::access(file.c_str(), X_OK) == 0) return file;
    rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
  }
  return std::nullopt;
}

Result<ChildResult> RunChild(const std::vector<std::string>& args,
                             const std::vector<std::string>& variables,
                             const std::function<void(pid_t)>& meanwhile) {
  ASSIGN_OR_RETURN(const UniqueFd out, OpenOutput("stdout"));
  ASSIGN_OR_RETURN(const UniqueFd err, OpenOutput("stderr"));
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(args, variables, out.get(), err.get()));
  ASSIGN_OR_RETURN(const int status, Await(pid, meanwhile));
  return ChildResult{.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                     .out = ReadBack(out.get()),
                     .err = ReadBack(err.get())};
}

std::string WhyChildFailed(const ChildResult& result) {
  for (const std::string& text : {result.err, result.out}) {
    const size_t begin = text.find_first_not_of(" \n\"");
    if (begin != std::string::npos) return text.substr(begin, text.find('\n', begin) - begin);
  }
  return result.exit_code < 0 ? "a signal ended it" : fmt::format("exit code {}", result.exit_code);
}

}  // namespace llmrun
