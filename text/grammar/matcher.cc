#include "text/grammar/matcher.h"

#include <utility>

namespace llmrun {

namespace {

constexpr size_t kFirstSlots = 64;  // a power of two
constexpr size_t kMaxSeen = 16384;

uint64_t Key(uint32_t high, uint32_t low) { return uint64_t{high} << 32 | low; }

}  // namespace

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)), stacks_{{0, 0}}, seen_(kFirstSlots), seen_round_(kFirstSlots) {}

uint32_t GrammarMatcher::Push(uint32_t back, uint32_t below) {
  const auto [entry, added] =
      numbers_.try_emplace(Key(back, below), static_cast<uint32_t>(stacks_.size()));
  if (added) stacks_.push_back({back, below});
  return entry->second;
}

bool GrammarMatcher::FirstTime(uint64_t key) {
  const size_t mask = seen_.size() - 1;
  size_t slot = (key * 0x9E3779B97F4A7C15U >> 32) & mask;
  while (seen_round_[slot] == round_) {
    if (seen_[slot] == key) return false;
    slot = (slot + 1) & mask;
  }
  seen_[slot] = key;
  seen_round_[slot] = round_;
  if (++seen_count_ * 2 > seen_.size()) GrowSeen();
  return true;
}

void GrammarMatcher::GrowSeen() {
  const std::vector<uint64_t> keys = std::exchange(seen_, std::vector<uint64_t>(2 * seen_.size()));
  const std::vector<uint32_t> rounds =
      std::exchange(seen_round_, std::vector<uint32_t>(seen_.size()));
  seen_count_ = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (rounds[i] == round_) FirstTime(keys[i]);
  }
}

bool GrammarMatcher::Close(Position* position) {
  position->ways.clear();
  position->complete = false;
  if (++round_ == 0) {
    seen_round_.assign(seen_round_.size(), 0);
    round_ = 1;
  }
  seen_count_ = 0;
  while (!work_.empty()) {
    const Way way = work_.back();
    work_.pop_back();
    if (!FirstTime(Key(way.state, way.stack))) continue;
    const GrammarState& state = grammar_->states[way.state];
    switch (state.kind) {
      case GrammarState::Kind::kBytes:
        position->ways.push_back(way);
        break;
      case GrammarState::Kind::kSplit:
        work_.push_back({state.b, way.stack});
        work_.push_back({state.a, way.stack});
        break;
      case GrammarState::Kind::kCall: {
        // A call at the end of a rule needs no way back into it: recursion at the end of a rule
        // does not pile up.
        const bool last = grammar_->states[state.b].kind == GrammarState::Kind::kReturn;
        const uint32_t stack = last ? way.stack : Push(state.b, way.stack);
        work_.push_back({grammar_->starts[state.a], stack});
        break;
      }
      case GrammarState::Kind::kReturn:
        if (way.stack == 0) {
          position->complete = true;
        } else {
          work_.push_back({stacks_[way.stack].back, stacks_[way.stack].below});
        }
        break;
    }
    if (seen_count_ >= kMaxSeen || position->ways.size() > kMaxWays ||
        stacks_.size() > kMaxStackNodes) {
      work_.clear();
      return false;
    }
  }
  return true;
}

bool GrammarMatcher::Start(Position* position) {
  work_ = {{grammar_->starts[grammar_->root], 0}};
  return Close(position);
}

bool GrammarMatcher::Advance(const Position& from, uint8_t byte, Position* to) {
  for (const Way& way : from.ways) {
    const GrammarState& state = grammar_->states[way.state];
    for (uint32_t i = state.a; i < state.b; ++i) {
      const GrammarEdge& edge = grammar_->edges[i];
      if (byte < edge.first) break;  // they are in order
      if (byte <= edge.last) work_.push_back({edge.target, way.stack});
    }
  }
  return Close(to);
}

void GrammarMatcher::Compact(std::span<Position> positions) {
  const std::vector<Stack> old = std::exchange(stacks_, {{0, 0}});
  numbers_.clear();
  // A stack comes after what lies below it, so that one pass from below is enough.
  std::vector<bool> needed(old.size());
  for (const Position& position : positions) {
    for (const Way& way : position.ways) needed[way.stack] = true;
  }
  for (size_t i = old.size(); i-- > 1;) {
    if (needed[i]) needed[old[i].below] = true;
  }
  std::vector<uint32_t> renamed(old.size());
  for (size_t i = 1; i < old.size(); ++i) {
    if (needed[i]) renamed[i] = Push(old[i].back, renamed[old[i].below]);
  }
  for (Position& position : positions) {
    for (Way& way : position.ways) way.stack = renamed[way.stack];
  }
}

}  // namespace llmrun
