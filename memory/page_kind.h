// Kinds of pages, what a user may ask for, and how a range is tiled with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmrun {

// What memory is made of. kThp: 4K pages with transparent huge pages asked for (madvise).
enum class PageKind : uint8_t { k4K, kThp, k2M, k1G };

uint64_t PageBytes(PageKind kind);       // 4096, 2 MiB (kThp, k2M), 1 GiB
bool IsHugetlb(PageKind kind);           // from a reserved pool: k2M and k1G
std::string_view NameOf(PageKind kind);  // "4K", "THP", "2M", "1G"

// --hugepages= and --hugepages-policy=
enum class HugePages : uint8_t { kOff, kThp, k2M, k1G, kAuto };
enum class HugePagesPolicy : uint8_t {
  kTry,      // the best there is, every step down is one Fallback
  kRequire,  // exactly what was asked, rounded up to whole pages, or an error (exit code 69)
};
// "off", "thp", "2M", "1G", "auto"; "try", "require"; in any letter case.
std::optional<HugePages> ParseHugePages(std::string_view text);
std::optional<HugePagesPolicy> ParseHugePagesPolicy(std::string_view text);
std::string_view NameOf(HugePages pages);
std::string_view NameOf(HugePagesPolicy policy);

// A run of equal pages. bytes is a multiple of PageBytes(kind).
struct PageTile {
  PageKind kind = PageKind::k4K;
  uint64_t bytes = 0;
  bool operator==(const PageTile&) const = default;
};

}  // namespace llmrun
