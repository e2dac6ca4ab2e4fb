#include "cli/nearest.h"

#include <algorithm>
#include <cstddef>

namespace llmrun {
namespace {

constexpr size_t kLettersOfAPart = 4;

std::string_view WithoutDashes(std::string_view name) {
  return name.substr(std::min(name.find_first_not_of('-'), name.size()));
}

// Optimal string alignment: L. Boytsov, Indexing methods for approximate dictionary searching
// (2011), section 2.1.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last;
  std::vector<size_t> last;
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last = std::move(last);
    last = row;
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({changed, last[j] + 1, row[j - 1] + 1});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::string Nearest(std::string_view typed, const std::vector<std::string>& names) {
  const std::string_view word = WithoutDashes(typed);
  std::string nearest;
  size_t least = word.size() / 3 + 1;
  for (const std::string& name : names) {
    const size_t distance = Distance(word, WithoutDashes(name));
    if (distance < least) {
      least = distance;
      nearest = name;
    }
  }
  if (!nearest.empty() || word.size() < kLettersOfAPart) return nearest;
  for (const std::string& name : names) {
    if (name.find(word) == std::string::npos) continue;
    if (nearest.empty() || name.size() < nearest.size()) nearest = name;
  }
  return nearest;
}

}  // namespace llmrun
