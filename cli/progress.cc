#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/units.h"

namespace llmrun {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr size_t kBarCells = 16;

bool StderrIsTerminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}

// Columns of the terminal, so that a line never wraps (a wrapped line cannot be redrawn in place).
size_t TerminalColumns() {
  winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)),
      enabled_(StderrIsTerminal()),
      next_draw_(std::chrono::steady_clock::now() + kRedraw) {}

void ProgressBar::Update(uint64_t bytes_done, uint64_t bytes_total, double seconds) {
  if (!enabled_) return;
  if (bytes_done >= bytes_total) {
    Clear();
    return;
  }
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + kRedraw;
  const double share = static_cast<double>(bytes_done) / static_cast<double>(bytes_total);
  const auto filled = static_cast<size_t>(share * static_cast<double>(kBarCells));
  std::string line = fmt::format("{:<6} [{}{}]  {} / {}  {}", label_, std::string(filled, '#'),
                                 std::string(kBarCells - filled, '-'), FormatBytes(bytes_done),
                                 FormatBytes(bytes_total), FormatRate(bytes_done, seconds));
  if (bytes_done > 0) line += "  ETA " + FormatSeconds(seconds * (1 / share - 1));
  line.resize(std::min(line.size(), TerminalColumns() - 1));
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressBar::Clear() {
  const std::lock_guard lock(mutex_);
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace llmrun
