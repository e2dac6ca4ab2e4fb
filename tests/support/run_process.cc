#include "tests/support/run_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "base/check.h"
#include "base/stopwatch.h"
#include "base/unique_fd.h"

namespace llmrun {
namespace {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  Pipe() {
    int fds[2];
    CHECK(::pipe2(fds, O_CLOEXEC) == 0);
    read_end = UniqueFd(fds[0]);
    write_end = UniqueFd(fds[1]);
  }
};

// In the child: only calls that are safe between fork and exec.
[[noreturn]] void ExecChild(const ProcessOptions& options, char* const* argv, int in, int out,
                            int err) {
  std::signal(SIGPIPE, SIG_DFL);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  for (const auto& [name, value] : options.env) ::setenv(name.c_str(), value.c_str(), 1);
  if (options.uid != 0 && ::setuid(options.uid) != 0) ::_exit(126);
  ::execv(argv[0], argv);
  ::_exit(127);
}

// Moves what is there from the descriptor into `text`; closes it at the end of file.
void Drain(UniqueFd& fd, std::string* text) {
  char buffer[65536];
  const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
  if (n > 0) text->append(buffer, static_cast<size_t>(n));
  if (n == 0) fd.Reset();
}

void Feed(UniqueFd& fd, const std::string& input, size_t* written) {
  const ssize_t n = ::write(fd.get(), input.data() + *written, input.size() - *written);
  if (n > 0) *written += static_cast<size_t>(n);
  if (n < 0 || *written == input.size()) fd.Reset();
}

bool Wrote(const std::string& text, const std::string& part) {
  return !text.empty() && text.find(part) != text.npos;
}

}  // namespace

ProcessResult RunProcess(const ProcessOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe in;
  Pipe out;
  Pipe err;
  std::vector<char*> argv;
  for (const std::string& arg : options.args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    ExecChild(options, argv.data(), in.read_end.get(), out.write_end.get(), err.write_end.get());
  }
  in.read_end.Reset();
  out.write_end.Reset();
  err.write_end.Reset();
  if (options.close_stdout) out.read_end.Reset();

  ProcessResult result;
  const Stopwatch watch;
  size_t written = 0;
  bool told = false;
  if (options.input.empty()) in.write_end.Reset();
  while (out.read_end.valid() || err.read_end.valid()) {
    pollfd fds[3] = {{out.read_end.get(), POLLIN, 0},
                     {err.read_end.get(), POLLIN, 0},
                     {in.write_end.get(), POLLOUT, 0}};
    const double left = options.timeout_seconds - watch.Seconds();
    if (left <= 0 || ::poll(fds, 3, static_cast<int>(std::min(left, 1.0) * 1000) + 1) < 0) {
      result.timed_out = left <= 0;
      break;
    }
    if (fds[0].revents != 0) Drain(out.read_end, &result.out);
    if (fds[1].revents != 0) Drain(err.read_end, &result.err);
    if (fds[2].revents != 0) Feed(in.write_end, options.input, &written);
    if (!told && options.on_output &&
        (Wrote(result.out, options.awaited) || Wrote(result.err, options.awaited))) {
      told = true;
      options.on_output(pid);
    }
  }
  if (result.timed_out) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

}  // namespace llmrun
