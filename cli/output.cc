#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/check.h"
#include "base/unique_fd.h"

namespace llmrun {
namespace {

// Writes all of it; the errno of the first failure, else 0.
int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

std::string OneLineOnly(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

// Bytes of the UTF-8 character at the front, 0 when there is none. Overlong forms and surrogates
// pass: this is for display, and terminals cope with them.
size_t Utf8Length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80    ? 1
                        : lead >= 0xF0 ? 4
                        : lead >= 0xE0 ? 3
                        : lead >= 0xC2 ? 2
                                       : 0;
  if (length == 0 || length > text.size() || lead > 0xF4) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  return length;
}

// Columns that text takes on a terminal, counting each character as one.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

int ReportError(const Error& error) {
  if (error.message.empty()) return 0;
  NoteLine("llm-run: error: " + OneLineOnly(error.OneLine()));
  return ExitCode(error.code);
}

int Finish(const Status& status) { return status ? 0 : ReportError(status.error()); }

Status WriteStdout(std::string_view text) {
  const int error = WriteAll(STDOUT_FILENO, text);
  if (error == EPIPE) return tl::unexpected<Error>(Error{ErrorCode::kOs, "", ""});
  if (error != 0) return OsError(error, "cannot write to standard output");
  return {};
}

std::string JsonText(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Status WriteJson(const Json& json) { return WriteStdout(JsonText(json)); }

Status WriteJsonTo(const Json& json, const std::string& path) {
  return path == "-" ? WriteJson(json) : WriteTextTo(JsonText(json), path);
}

Status WriteTextTo(std::string_view text, const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return OsError(errno, path);
  const int error = WriteAll(file.get(), text);
  if (error != 0) return OsError(error, path);
  return {};
}

void NoteLine(std::string_view line) {
  std::string text(line);
  if (!text.ends_with('\n')) text += '\n';
  WriteAll(STDERR_FILENO, text);  // nowhere to report a failure to
}

std::string FormatHash(uint64_t hash) { return fmt::format("{:016x}", hash); }

std::string FormatCount(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string Printable(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= max_bytes) return out + "...";
    const size_t length = Utf8Length(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    if (text[0] == '\n') {
      out += "\\n";
    } else if (text[0] == '\t') {
      out += "\\t";
    } else if (length == 0 || byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

void Table::AddRow(std::vector<std::string> cells) {
  CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::Format(int indent) const {
  std::vector<size_t> widths(columns_.size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line(static_cast<size_t>(indent), ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Width(row[i]), ' ');
      if (i > 0) line += "  ";
      line += columns_[i] == Align::kRight ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace llmrun
