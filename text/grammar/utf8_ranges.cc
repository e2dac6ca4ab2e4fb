#include "text/grammar/utf8_ranges.h"

#include <algorithm>
#include <map>
#include <utility>

namespace llmrun {

namespace {

using Ranges = std::vector<CodepointRange>;

// The part of the ranges in [first, last], counted from first. Requires: in order.
Ranges Part(std::span<const CodepointRange> ranges, uint32_t first, uint32_t last) {
  Ranges out;
  for (const CodepointRange& range : ranges) {
    if (range.last < first) continue;
    if (range.first > last) break;
    out.push_back({std::max(range.first, first) - first, std::min(range.last, last) - first});
  }
  return out;
}

class SetBuilder {
 public:
  SetBuilder(uint32_t next, Grammar* grammar) : next_(next), grammar_(grammar) {}

  uint32_t Build(const Ranges& ranges) {
    std::vector<GrammarEdge> edges;
    for (const CodepointRange& range : Part(ranges, 0, 0x7F)) {
      edges.push_back({static_cast<uint8_t>(range.first), static_cast<uint8_t>(range.last), next_});
    }
    // Lead byte, how many may follow it, code points behind each.
    AddLeads(0xC0, 1, Part(ranges, 0, 0x7FF), 0x80, &edges);
    AddLeads(0xE0, 2, Part(ranges, 0, 0xFFFF), 0x800, &edges);
    AddLeads(0xF0, 3, Part(ranges, 0, kLastCodepoint), 0x10000, &edges);
    return AddState(edges);
  }

 private:
  // Characters from `least` on that take a lead byte and `rest` bytes behind it.
  void AddLeads(uint32_t lead, uint32_t rest, Ranges ranges, uint32_t least,
                std::vector<GrammarEdge>* edges) {
    Ranges longer;
    for (const CodepointRange& range : ranges) {
      if (range.last >= least) longer.push_back({std::max(range.first, least), range.last});
    }
    AddEdges(lead, rest, longer, edges);
  }

  // Edges from the bytes first + i, of which each stands for 64^rest code points. Goes from border
  // to border of the ranges: bytes that are in one of them as a whole lead to one state.
  void AddEdges(uint32_t first, uint32_t rest, const Ranges& ranges,
                std::vector<GrammarEdge>* edges) {
    const size_t begin = edges->size();
    const uint32_t shift = 6 * rest;
    const uint32_t inside = (uint32_t{1} << shift) - 1;
    uint32_t at = 0;
    for (size_t k = 0; k < ranges.size();) {
      at = std::max(at, ranges[k].first);
      if (at > ranges[k].last) {
        ++k;
        continue;
      }
      const uint32_t i = at >> shift;
      uint32_t last = i;
      uint32_t target = next_;
      if ((at & inside) != 0 || ranges[k].last - at < inside) {
        target = Follow(rest, Part(std::span(ranges).subspan(k), i << shift, i << shift | inside));
      } else {
        last = ((ranges[k].last + 1) >> shift) - 1;
        if (rest > 0) target = Follow(rest, {{0, inside}});
      }
      at = (last + 1) << shift;
      if (edges->size() > begin && edges->back().target == target &&
          edges->back().last + 1U == first + i) {
        edges->back().last = static_cast<uint8_t>(first + last);
      } else {
        edges->push_back(
            {static_cast<uint8_t>(first + i), static_cast<uint8_t>(first + last), target});
      }
    }
  }

  // The state behind which `rest` more bytes make up one of the numbers in `ranges`.
  uint32_t Follow(uint32_t rest, const Ranges& ranges) {
    const auto known = follow_.find({rest, ranges});
    if (known != follow_.end()) return known->second;
    std::vector<GrammarEdge> edges;
    AddEdges(0x80, rest - 1, ranges, &edges);
    const uint32_t state = AddState(edges);
    follow_[{rest, ranges}] = state;
    return state;
  }

  uint32_t AddState(const std::vector<GrammarEdge>& edges) {
    const auto begin = static_cast<uint32_t>(grammar_->edges.size());
    grammar_->edges.insert(grammar_->edges.end(), edges.begin(), edges.end());
    grammar_->states.push_back(
        {GrammarState::Kind::kBytes, begin, static_cast<uint32_t>(grammar_->edges.size())});
    return static_cast<uint32_t>(grammar_->states.size() - 1);
  }

  const uint32_t next_;
  Grammar* const grammar_;
  std::map<std::pair<uint32_t, Ranges>, uint32_t> follow_;
};

// Without U+D800 to U+DFFF, which UTF-8 has not.
Ranges WithoutSurrogates(std::span<const CodepointRange> ranges) {
  Ranges out;
  for (const CodepointRange& range : ranges) {
    if (range.first < 0xD800) out.push_back({range.first, std::min(range.last, 0xD7FFU)});
    if (range.last > 0xDFFF) out.push_back({std::max(range.first, 0xE000U), range.last});
  }
  return out;
}

}  // namespace

uint32_t AddCharacterSet(std::span<const CodepointRange> ranges, uint32_t next, Grammar* grammar) {
  return SetBuilder(next, grammar).Build(WithoutSurrogates(ranges));
}

}  // namespace llmrun
