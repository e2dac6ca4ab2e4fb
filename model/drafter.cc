#include "model/drafter.h"

#include <algorithm>

namespace llmrun {

namespace {

constexpr size_t kLongestRow = 3;
constexpr size_t kShortestRow = 2;

uint64_t Key(std::span<const TokenId> row) {
  uint64_t key = row.size();
  for (const TokenId id : row) key = (key ^ static_cast<uint32_t>(id)) * 0x9E3779B97F4A7C15U;
  return key ^ key >> 32;
}

}  // namespace

Result<std::vector<TokenId>> LookupDrafter::Draft(std::span<const TokenId> tokens, size_t most) {
  if (tokens.size() < seen_) {  // another text
    behind_.clear();
    seen_ = 0;
  }
  // Of the last rows nobody knows yet how they go on.
  for (; seen_ < tokens.size(); ++seen_) {
    for (size_t n = kShortestRow; n <= std::min(kLongestRow, seen_); ++n) {
      behind_[Key(tokens.subspan(seen_ - n, n))] = seen_;
    }
  }
  for (size_t n = std::min(kLongestRow, tokens.size()); n >= kShortestRow; --n) {
    const auto found = behind_.find(Key(tokens.last(n)));
    if (found == behind_.end()) continue;
    const std::span<const TokenId> rest = tokens.subspan(found->second);
    const std::span<const TokenId> draft = rest.first(std::min(most, rest.size()));
    return std::vector<TokenId>(draft.begin(), draft.end());
  }
  return std::vector<TokenId>();
}

}  // namespace llmrun
