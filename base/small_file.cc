#include "base/small_file.h"

#include <fcntl.h>

#include <cerrno>
#include <charconv>

#include "base/unique_fd.h"
#include "base/units.h"

namespace llmrun {

Result<std::string> ReadSmallFile(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return OsError(errno, path);
  std::string text;
  char buffer[4096];
  while (text.size() <= kMiB) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError(errno, path);
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
  return MakeError(ErrorCode::kOs, "{}: larger than 1 MiB", path);
}

std::string SmallFileOrEmpty(const std::string& path) {
  return ReadSmallFile(path).value_or(std::string());
}

std::optional<uint64_t> ReadNumberFile(const std::string& path) {
  const Result<std::string> text = ReadSmallFile(path);
  if (!text) return std::nullopt;
  uint64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc()) return std::nullopt;
  for (const char* c = rest; c != end; ++c) {
    if (*c != '\n' && *c != ' ') return std::nullopt;
  }
  return value;
}

Status WriteSmallFile(const std::string& path, const std::string& text) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return OsError(errno, path);
  const ssize_t n = ::write(fd.get(), text.data(), text.size());
  if (n < 0) return OsError(errno, path);
  if (static_cast<size_t>(n) != text.size()) {
    return MakeError(ErrorCode::kOs, "{}: wrote {} of {} bytes", path, n, text.size());
  }
  return {};
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::optional<uint64_t> FindNumber(std::string_view text, std::string_view key) {
  for (size_t at = text.find(key); at != text.npos; at = text.find(key, at + 1)) {
    const bool word_begins = at == 0 || text[at - 1] == '\n' || text[at - 1] == ' ';
    const std::string_view rest = text.substr(at + key.size());
    const size_t digits = rest.find_first_not_of(": \t");
    if (!word_begins || digits == rest.npos || digits == 0) continue;
    return ParseNumber(rest.substr(digits));
  }
  return std::nullopt;
}

uint64_t FindHex(std::string_view text, std::string_view key) {
  const size_t at = text.find(key);
  if (at == text.npos) return 0;
  const std::string_view rest = text.substr(at + key.size());
  uint64_t value = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), value, 16);
  return value;
}

}  // namespace llmrun
