// Runs a program and waits for it: what a user at a shell sees of it.
// Threads: Thread-compatible. A program that outlives its time is killed and reported so.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace llmrun {

struct ProcessResult {
  int exit_code = -1;  // -1 when it died of a signal
  int signal = 0;      // that signal
  bool timed_out = false;
  std::string out;  // all of stdout
  std::string err;  // all of stderr
};

struct ProcessOptions {
  std::vector<std::string> args;                         // args[0] is the program's path
  std::string input;                                     // given on stdin, which is then closed
  std::vector<std::pair<std::string, std::string>> env;  // added to ours
  double timeout_seconds = 120;
  unsigned uid = 0;           // who it runs as, when we are root; 0: as we are
  bool close_stdout = false;  // its stdout is a pipe that nobody reads
  // Called once in the parent with the pid as soon as the program has written this to stdout or
  // stderr; empty: anything.
  std::function<void(int pid)> on_output;
  std::string awaited;
};

ProcessResult RunProcess(const ProcessOptions& options);

}  // namespace llmrun
