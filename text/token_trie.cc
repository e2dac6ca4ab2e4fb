#include "text/token_trie.h"

namespace llmrun {

void TokenTrie::Add(std::string_view text, TokenId id) {
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

std::optional<TokenTrie::Match> TokenTrie::LongestAt(std::string_view text, size_t pos) const {
  std::optional<Match> longest;
  EachAt(text, pos, [&](const Match& match) { longest = match; });
  return longest;
}

}  // namespace llmrun
