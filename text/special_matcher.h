// Finds special tokens written out in a text: the longest entry that starts at a position. A trie
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

class SpecialMatcher {
 public:
  struct Match {
    TokenId id;
    size_t bytes;
  };

  // Ignores an empty text; a text added twice keeps the later id.
  void Add(std::string_view text, TokenId id);
  // Requires: pos < text.size().
  std::optional<Match> At(std::string_view text, size_t pos) const;

 private:
  static uint64_t EdgeKey(uint32_t node, char byte) {
    return uint64_t{node} << 8 | static_cast<unsigned char>(byte);
  }

  std::unordered_map<uint64_t, uint32_t> edges_;  // (node, byte) -> node
  std::vector<TokenId> ids_ = {kNoToken};         // [node]; node 0 is the root
  bool starts_[256] = {};                         // bytes that some entry begins with
};

}  // namespace llmrun
