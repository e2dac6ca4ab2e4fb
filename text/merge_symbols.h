// Byte-pair merging, shared by both kinds of tokenizer: of all neighbouring symbols that may be
// joined, join the cheapest pair (the leftmost of equals), until none is left. A heap of candidates
// over a doubly linked list: n log n, no recursion.
//
// Source: Sennrich et al. 2016; the heap with lazy deletion is the usual way to make it n log n.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "text/token_id.h"

namespace llmrun {

inline constexpr size_t kNoSymbol = static_cast<size_t>(-1);

struct Symbol {
  TokenId id = kNoToken;  // kNoToken: these bytes are no token of the vocabulary
  size_t begin = 0;       // in the text that is being cut
  size_t bytes = 0;       // 0: joined into its left neighbour
  size_t prev = kNoSymbol;
  size_t next = kNoSymbol;
};

struct Merge {
  double cost;  // lower goes first; never NaN
  TokenId id;   // of the joined symbol
};

// Work space that can be used again and again without allocating.
struct MergeScratch {
  struct Candidate {
    double cost;
    size_t left;
    size_t right;
    size_t bytes;  // of both together: tells when one of them has grown since
    TokenId id;
  };
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;

  void Clear() { symbols.clear(); }
  void Append(TokenId id, size_t begin, size_t bytes) {
    const size_t index = symbols.size();
    if (index > 0) symbols.back().next = index;
    symbols.push_back({id, begin, bytes, index > 0 ? index - 1 : kNoSymbol, kNoSymbol});
  }
};

// find_merge(const Symbol& left, const Symbol& right) -> std::optional<Merge>. Afterwards the list
// from symbols[0] along `next` holds what is left.
template <typename FindMerge>
void MergeSymbols(FindMerge&& find_merge, MergeScratch* scratch) {
  using Candidate = MergeScratch::Candidate;
  std::vector<Symbol>& symbols = scratch->symbols;
  std::vector<Candidate>& heap = scratch->heap;
  // std::push_heap keeps the largest on top: "less" means "comes later".
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.cost != b.cost ? a.cost > b.cost : a.left > b.left;
  };
  const auto candidate = [&](size_t left, size_t right) -> std::optional<Candidate> {
    if (left == kNoSymbol || right == kNoSymbol) return std::nullopt;
    const std::optional<Merge> merge = find_merge(symbols[left], symbols[right]);
    if (!merge) return std::nullopt;
    return Candidate{merge->cost, left, right, symbols[left].bytes + symbols[right].bytes,
                     merge->id};
  };
  const auto push = [&](size_t left, size_t right) {
    if (const auto found = candidate(left, right)) {
      heap.push_back(*found);
      std::push_heap(heap.begin(), heap.end(), later);
    }
  };

  heap.clear();
  for (size_t i = 1; i < symbols.size(); ++i) {
    if (const auto found = candidate(i - 1, i)) heap.push_back(*found);
  }
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    const Candidate best = heap.front();
    std::pop_heap(heap.begin(), heap.end(), later);
    heap.pop_back();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != best.bytes) continue;
    left.id = best.id;
    left.bytes = best.bytes;
    left.next = right.next;
    right.bytes = 0;
    if (left.next != kNoSymbol) symbols[left.next].prev = best.left;
    push(left.prev, best.left);
    push(best.left, left.next);
  }
}

}  // namespace llmrun
