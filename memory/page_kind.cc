#include "memory/page_kind.h"

#include <strings.h>

#include <array>
#include <string>

#include "base/check.h"
#include "base/units.h"

namespace llmrun {
namespace {

constexpr std::array<std::string_view, 4> kKindNames = {"4K", "THP", "2M", "1G"};
constexpr std::array<std::string_view, 5> kHugePagesNames = {"off", "thp", "2M", "1G", "auto"};
constexpr std::array<std::string_view, 2> kPolicyNames = {"try", "require"};

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// The enumerator whose place in `names` holds `text`.
template <typename Enum, size_t N>
std::optional<Enum> ParseName(const std::array<std::string_view, N>& names, std::string_view text) {
  for (size_t i = 0; i < N; ++i) {
    if (EqualsIgnoringCase(names[i], text)) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

uint64_t PageBytes(PageKind kind) {
  switch (kind) {
    case PageKind::k4K:
      return 4 * kKiB;
    case PageKind::kThp:
    case PageKind::k2M:
      return 2 * kMiB;
    case PageKind::k1G:
      return kGiB;
  }
  CHECK(false);
}

bool IsHugetlb(PageKind kind) { return kind == PageKind::k2M || kind == PageKind::k1G; }

std::string_view NameOf(PageKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

std::optional<HugePages> ParseHugePages(std::string_view text) {
  return ParseName<HugePages>(kHugePagesNames, text);
}

std::optional<HugePagesPolicy> ParseHugePagesPolicy(std::string_view text) {
  return ParseName<HugePagesPolicy>(kPolicyNames, text);
}

std::string_view NameOf(HugePages pages) { return kHugePagesNames[static_cast<size_t>(pages)]; }

std::string_view NameOf(HugePagesPolicy policy) {
  return kPolicyNames[static_cast<size_t>(policy)];
}

}  // namespace llmrun
