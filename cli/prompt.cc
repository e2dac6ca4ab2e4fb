#include "cli/prompt.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/unique_fd.h"
#include "base/units.h"

namespace llmrun {
namespace {

constexpr uint64_t kTokenSeed = 0x6c6c6d72756eULL;
constexpr uint64_t kPromptBytesMax = 256 * kMiB;

}  // namespace

Result<std::string> ReadWholeFile(const std::string& path) {
  UniqueFd opened;
  int fd = STDIN_FILENO;
  if (path != "-") {
    opened = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened.valid()) return OsError(errno, path);
    fd = opened.get();
  }
  std::string text;
  std::string buffer(64 * kKiB, '\0');
  while (true) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError(errno, path == "-" ? "standard input" : path);
    if (n == 0) return text;
    text.append(buffer, 0, static_cast<size_t>(n));
    if (text.size() > kPromptBytesMax) {
      return MakeError(ErrorCode::kResource, "{}: larger than {}", path,
                       FormatBytes(kPromptBytesMax));
    }
  }
}

Result<std::string> ReadPrompt(const PromptOptions& options) {
  if (options.has_text && !options.file.empty()) {
    return MakeError(ErrorCode::kUsage, "both a prompt text and a prompt file were given");
  }
  if (options.has_text) return options.escape ? Unescape(options.text) : options.text;
  if (!options.file.empty()) return ReadWholeFile(options.file);
  if (::isatty(STDIN_FILENO) == 1) {
    return MakeFixableError(ErrorCode::kUsage, "llm-run -p \"Once upon a time\" -n 64",
                            "no prompt: give -p TEXT, -f FILE, or text on standard input");
  }
  return ReadWholeFile("-");
}

std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char next = text[++i];
    unsigned value = 0;
    switch (next) {
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case 'r':
        out += '\r';
        break;
      case '\\':
      case '"':
      case '\'':
        out += next;
        break;
      case 'x':
        if (i + 2 < text.size() &&
            std::from_chars(&text[i + 1], &text[i + 3], value, 16).ptr == &text[i + 3]) {
          out += static_cast<char>(value);
          i += 2;
          break;
        }
        [[fallthrough]];
      default:
        out += '\\';
        out += next;
    }
  }
  return out;
}

std::vector<TokenId> SomeTokens(int64_t count, int64_t n_vocab) {
  std::vector<TokenId> ids;
  uint64_t state = kTokenSeed;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's LCG
    ids.push_back(static_cast<TokenId>((state >> 33) % static_cast<uint64_t>(n_vocab)));
  }
  return ids;
}

}  // namespace llmrun
