#include "cli/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <filesystem>
#include <system_error>
#include <utility>

#include "cli/interrupt.h"

namespace llmrun {
namespace {

constexpr int kHistoryLines = 1000;

}  // namespace

struct LineReader::Editor {
  explicit Editor(std::string history_file) : file(std::move(history_file)) {
    // So that characters of several bytes are edited as one: models read UTF-8 only.
    std::setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
    edit = el_init("llm-run", stdin, stderr, stderr);
    lines = history_init();
    if (edit == nullptr || lines == nullptr) return;
    HistEvent event;
    history(lines, &event, H_SETSIZE, kHistoryLines);
    history(lines, &event, H_SETUNIQUE, 1);
    if (!file.empty()) history(lines, &event, H_LOAD, file.c_str());
    el_set(edit, EL_HIST, history, lines);
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_CLIENTDATA, this);
    el_set(edit, EL_PROMPT, Prompt);
    el_set(edit, EL_GETCFN, ReadCharacter);
    el_source(edit, nullptr);  // ~/.editrc
  }
  ~Editor() {
    if (lines != nullptr) {
      Save();
      history_end(lines);
    }
    if (edit != nullptr) el_end(edit);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  static char* Prompt(EditLine* of) {
    Editor* self = nullptr;
    el_get(of, EL_CLIENTDATA, &self);
    return self->prompt.data();
  }

  static void TerminalChanged(EditLine* of, int signal) {
    if (signal == SIGWINCH) return el_resize(of);
    el_set(of, EL_PREP_TERM, 0);  // libedit takes its own settings for those in force
    el_set(of, EL_PREP_TERM, 1);
    el_set(of, EL_REFRESH);
  }
  // 1 and the character, 0 at the end of the input, -1 when a signal came. What is no character of
  // the locale is skipped.
  static int ReadCharacter(EditLine* of, wchar_t* character) {
    std::mbstate_t state = {};
    char byte = 0;
    while (WaitToRead(STDIN_FILENO, [of](int signal) { TerminalChanged(of, signal); })) {
      const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return static_cast<int>(n);
      const size_t length = std::mbrtowc(character, &byte, 1, &state);
      if (length <= 1) return 1;  // 0 for the character 0
      if (length == static_cast<size_t>(-1)) state = {};
    }
    return -1;
  }

  void Save() {
    if (file.empty()) return;
    std::error_code ignored;
    const auto folder = std::filesystem::path(file).parent_path();
    std::filesystem::create_directories(folder, ignored);
    HistEvent event;
    history(lines, &event, H_SAVE, file.c_str());
    std::filesystem::permissions(file, std::filesystem::perms(0600), ignored);
  }

  const std::string file;
  EditLine* edit = nullptr;
  History* lines = nullptr;
  std::string prompt;
};

LineReader::LineReader(std::string history_file) {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) return;
  editor_ = std::make_unique<Editor>(std::move(history_file));
  if (editor_->edit == nullptr || editor_->lines == nullptr) editor_.reset();
}

LineReader::~LineReader() = default;

std::optional<std::string> LineReader::Read(const char* prompt) {
  if (!interactive()) return ReadPlain();
  editor_->prompt = prompt;
  CatchTerminalChanges();
  // Before the prompt is shown: what is typed between the prompt and libedit's own change of the
  // terminal would be read by the terminal's rules, under which Ctrl-D is lost.
  el_set(editor_->edit, EL_PREP_TERM, 1);
  int count = 0;
  const char* line = el_gets(editor_->edit, &count);
  if (line == nullptr || count <= 0) return std::nullopt;
  std::string text(line, static_cast<size_t>(count));
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void LineReader::Remember(const std::string& line) {
  if (!interactive() || line.empty()) return;
  HistEvent event;
  history(editor_->lines, &event, H_ENTER, line.c_str());
}

std::optional<std::string> LineReader::ReadPlain() {
  char buffer[4096];
  size_t end = 0;
  while ((end = pending_.find('\n')) == pending_.npos && !ended_) {
    if (!WaitToRead(STDIN_FILENO)) return std::nullopt;
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) ended_ = true;
    if (n > 0) pending_.append(buffer, static_cast<size_t>(n));
  }
  if (pending_.empty()) return std::nullopt;
  std::string line = pending_.substr(0, end);
  pending_.erase(0, end == pending_.npos ? end : end + 1);
  return line;
}

}  // namespace llmrun
