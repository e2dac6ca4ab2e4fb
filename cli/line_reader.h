// Lines of standard input: with editing and a history when a person types them (libedit), as they
// are otherwise.
// Owner: one at a time. Threads: Single-thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace llmrun {

class LineReader {
 public:
  // `history_file`: read now and written at the end; empty: none.
  explicit LineReader(std::string history_file);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Whether a person types, who is shown prompts (on stderr).
  bool interactive() const { return editor_ != nullptr; }
  // The next line without its end; nullopt at the end of the input, and when a signal came.
  std::optional<std::string> Read(const char* prompt);
  void Remember(const std::string& line);  // in the history

 private:
  struct Editor;
  std::optional<std::string> ReadPlain();

  std::unique_ptr<Editor> editor_;
  std::string pending_;  // read and not yet given out
  bool ended_ = false;
};

}  // namespace llmrun
