#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "loader/index/split_plan.h"
#include "loader/index/tensor_index.h"

namespace llmrun {
namespace {

constexpr size_t kDigits = 5;
constexpr std::string_view kOf = "-of-";
constexpr std::string_view kExtension = ".gguf";

// The number that `text` begins with, when that is exactly five digits.
std::optional<uint32_t> FiveDigits(std::string_view text) {
  if (text.size() < kDigits) return std::nullopt;
  uint32_t value = 0;
  const char* end = text.data() + kDigits;
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

}  // namespace

std::string SplitPartPath(std::string_view prefix, size_t number, size_t count) {
  return fmt::format("{}-{:05}{}{:05}{}", prefix, number, kOf, count, kExtension);
}

std::vector<std::string> SplitPartPaths(const std::string& path) {
  constexpr size_t kTailBytes = 1 + kDigits + kOf.size() + kDigits + kExtension.size();
  const std::vector<std::string> single = {path};
  if (path.size() <= kTailBytes || !path.ends_with(kExtension)) return single;
  const std::string_view stem = std::string_view(path).substr(0, path.size() - kTailBytes);
  const std::string_view tail = std::string_view(path).substr(stem.size());
  const std::optional<uint32_t> number = FiveDigits(tail.substr(1));
  const std::optional<uint32_t> count = FiveDigits(tail.substr(1 + kDigits + kOf.size()));
  if (tail[0] != '-' || tail.substr(1 + kDigits, kOf.size()) != kOf || !number || !count) {
    return single;
  }
  if (*number < 1 || *number > *count) return single;
  std::vector<std::string> paths;
  paths.reserve(*count);
  for (uint32_t i = 1; i <= *count; ++i) {
    paths.push_back(SplitPartPath(stem, i, *count));
  }
  return paths;
}

}  // namespace llmrun
