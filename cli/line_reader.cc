#include "cli/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
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
    std::setlocale(LC_CTYPE, "");  // so that characters of several bytes are edited as one
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
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR && !Interrupted()) continue;
    if (n < 0 && Interrupted()) return std::nullopt;
    if (n <= 0) ended_ = true;
    if (n > 0) pending_.append(buffer, static_cast<size_t>(n));
  }
  if (pending_.empty()) return std::nullopt;
  std::string line = pending_.substr(0, end);
  pending_.erase(0, end == pending_.npos ? end : end + 1);
  return line;
}

}  // namespace llmrun
