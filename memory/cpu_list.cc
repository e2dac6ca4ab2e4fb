#include "memory/cpu_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace llmrun {
namespace {

// The number that `text` begins with, which is then taken off.
std::optional<unsigned> TakeNumber(std::string_view* text) {
  unsigned number = 0;
  const auto [rest, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(rest - text->data()));
  return number;
}

bool TakeChar(std::string_view* text, char expected) {
  if (!text->starts_with(expected)) return false;
  text->remove_prefix(1);
  return true;
}

struct CpuRange {
  unsigned first = 0;
  unsigned last = 0;
  unsigned stride = 1;
};

// "8", "0-3", "0-15:2"
Result<CpuRange> ParseCpuRange(std::string_view part) {
  std::string_view rest = part;
  const std::optional<unsigned> first = TakeNumber(&rest);
  std::optional<unsigned> last = first;
  std::optional<unsigned> stride = 1;
  if (TakeChar(&rest, '-')) {
    last = TakeNumber(&rest);
    if (TakeChar(&rest, ':')) stride = TakeNumber(&rest);
  }
  if (!first || !last || !stride || !rest.empty()) {
    return MakeError(ErrorCode::kUsage, "'{}' is no CPU, range or range with a stride (0-15:2)",
                     part);
  }
  if (*last < *first) return MakeError(ErrorCode::kUsage, "'{}' goes down", part);
  if (*stride == 0) return MakeError(ErrorCode::kUsage, "'{}' has a stride of 0", part);
  if (*last >= kMostCpus) {
    return MakeError(ErrorCode::kUsage, "'{}': CPUs go up to {}", part, kMostCpus - 1);
  }
  return CpuRange{*first, *last, *stride};
}

}  // namespace

Result<std::vector<unsigned>> ParseCpuList(std::string_view text) {
  std::vector<unsigned> cpus;
  std::vector<bool> seen(kMostCpus);
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    ASSIGN_OR_RETURN(const CpuRange range, ParseCpuRange(text.substr(begin, end - begin)));
    begin = end + 1;
    // 64 bits: a stride may lead beyond all numbers of 32.
    for (uint64_t cpu = range.first; cpu <= range.last; cpu += range.stride) {
      if (seen[cpu]) return MakeError(ErrorCode::kUsage, "CPU {} is there twice", cpu);
      seen[cpu] = true;
      cpus.push_back(static_cast<unsigned>(cpu));
    }
  }
  return cpus;
}

std::string FormatCpuList(std::span<const unsigned> cpus) {
  std::string text;
  for (size_t begin = 0; begin < cpus.size();) {
    size_t end = begin + 1;
    while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ",", cpus[begin]);
    if (end - begin > 1) text += fmt::format("-{}", cpus[end - 1]);
    begin = end;
  }
  return text;
}

}  // namespace llmrun
