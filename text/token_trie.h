// Finds tokens written out in a text: all that start at a position, or the longest of them. A trie
// over bytes, so a look-up costs at most the length of the longest entry, however many there are.
// Threads: Thread-compatible; const methods are Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/token_id.h"

namespace llmrun {

class TokenTrie {
 public:
  struct Match {
    TokenId id;
    size_t bytes;
  };

  // Ignores an empty text; a text added twice keeps the later id.
  void Add(std::string_view text, TokenId id);
  // Calls on_match(Match) for every entry that starts at `pos`, the shortest first.
  // Requires: pos < text.size().
  template <typename OnMatch>
  void EachAt(std::string_view text, size_t pos, OnMatch&& on_match) const {
    // Of special tokens, nearly every position of a text ends here.
    if (!starts_[static_cast<unsigned char>(text[pos])]) return;
    uint32_t node = 0;
    for (size_t i = pos; i < text.size(); ++i) {
      const auto edge = edges_.find(EdgeKey(node, text[i]));
      if (edge == edges_.end()) return;
      node = edge->second;
      if (ids_[node] != kNoToken) on_match(Match{ids_[node], i + 1 - pos});
    }
  }
  // The longest. Requires: pos < text.size().
  std::optional<Match> LongestAt(std::string_view text, size_t pos) const;

 private:
  static uint64_t EdgeKey(uint32_t node, char byte) {
    return uint64_t{node} << 8 | static_cast<unsigned char>(byte);
  }

  std::unordered_map<uint64_t, uint32_t> edges_;  // (node, byte) -> node
  std::vector<TokenId> ids_ = {kNoToken};         // [node]; node 0 is the root
  bool starts_[256] = {};                         // bytes that some entry begins with
};

}  // namespace llmrun
