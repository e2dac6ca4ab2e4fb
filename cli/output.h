// What llm-run says. stdout carries the asked-for document or tokens only; errors, notes, reports
// and progress go to stderr.
// Threads: WriteStdout and Note may be called from any thread, one at a time.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"

namespace llmrun {

using Json = nlohmann::ordered_json;

// "llm-run: error: <message>; fix: <fix>" as one line on stderr; returns the exit code.
// An error of WriteStdout that says the reader went away is silent and counts as success.
int ReportError(const Error& error);
// 0 or ReportError().
int Finish(const Status& status);

// Writes all of it, unbuffered. EPIPE gives the silent error described above; ENOSPC, EBADF and the
// like kOs.
Status WriteStdout(std::string_view text);
// To a new file, or over an old one. Failure: kOs.
Status WriteTextTo(std::string_view text, const std::string& path);
// Indented, with a newline; bytes that are not UTF-8 are shown as U+FFFD.
std::string JsonText(const Json& json);
Status WriteJson(const Json& json);
// To a file, or to stdout for "-".
Status WriteJsonTo(const Json& json, const std::string& path);

// A line on stderr, or several; the last one may bring its newline.
void NoteLine(std::string_view line);
template <typename... Args>
void Note(fmt::format_string<Args...> format, Args&&... args) {
  NoteLine(fmt::format(format, std::forward<Args>(args)...));
}

// "16" for values as "0123456789abcdef" hashes are shown everywhere.
std::string FormatHash(uint64_t hash);
// 1234567 as "1,234,567".
std::string FormatCount(uint64_t count);
// Text from a file for a terminal: control characters and bytes that are not UTF-8 escaped, cut
// after about `max_bytes` with "...".
std::string Printable(std::string_view text, size_t max_bytes = 80);

// Columns aligned with two spaces between them; the last one is not padded.
class Table {
 public:
  enum class Align : uint8_t { kLeft, kRight };
  explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}

  // Requires: as many cells as columns.
  void AddRow(std::vector<std::string> cells);
  // Each row as a line, `indent` spaces before it.
  std::string Format(int indent = 0) const;

 private:
  std::vector<Align> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace llmrun
