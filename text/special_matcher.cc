#include "text/special_matcher.h"

namespace llmrun {

void SpecialMatcher::Add(std::string_view text, TokenId id) {
  if (text.empty()) return;
  starts_[static_cast<unsigned char>(text[0])] = true;
  uint32_t node = 0;
  for (const char byte : text) {
    const auto [edge, added] =
        edges_.try_emplace(EdgeKey(node, byte), static_cast<uint32_t>(ids_.size()));
    if (added) ids_.push_back(kNoToken);
    node = edge->second;
  }
  ids_[node] = id;
}

std::optional<SpecialMatcher::Match> SpecialMatcher::At(std::string_view text, size_t pos) const {
  // Nearly every position of a text ends here.
  if (!starts_[static_cast<unsigned char>(text[pos])]) return std::nullopt;
  std::optional<Match> longest;
  uint32_t node = 0;
  for (size_t i = pos; i < text.size(); ++i) {
    const auto edge = edges_.find(EdgeKey(node, text[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (ids_[node] != kNoToken) longest = Match{ids_[node], i + 1 - pos};
  }
  return longest;
}

}  // namespace llmrun
