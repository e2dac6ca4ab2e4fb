// SentencePiece's precompiled character map (tokenizer.ggml.precompiled_charsmap): which runs of
// bytes a text's normalization replaces by which strings. Four bytes with the size of a double
// array, the array (a trie over bytes), then the strings, each ended by a zero byte.
//
// Sources: Kudo & Richardson 2018 (the format); Yata et al. 2007 and Kanda et al. 2018 (the array).
// Threads: immutable after Parse(); Thread-safe.
// Failure: Parse() rejects sizes that contradict each other (kBadData). Links of the array that
// lead nowhere match nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmrun {

class Charsmap {
 public:
  // Empty bytes give a map that replaces nothing.
  static Result<Charsmap> Parse(std::string_view bytes);

  struct Replacement {
    std::string_view text;  // views the map
    size_t bytes = 0;       // of the input that it replaces; 0: nothing begins here
  };
  // Of the longest run that begins at `pos`. Requires: pos < text.size().
  Replacement LongestAt(std::string_view text, size_t pos) const;

 private:
  std::vector<uint32_t> units_;
  std::string strings_;  // ends in a zero byte
};

}  // namespace llmrun
